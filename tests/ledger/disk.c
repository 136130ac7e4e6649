/* A disk that forgets: preloaded into a process, it writes down what is done to the files of one
 * directory and when it was synced, ends the process at a chosen operation, or refuses operations.
 *
 * What a power cut leaves is computed from the journal afterwards (disk.py). Nothing is journalled
 * before `disk_watch` is called; the functions that begin with `disk_` are called through ctypes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define DESCRIPTORS 4096
#define CREATED 1
#define TRUNCATED 2

enum kind { OPEN = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME };
#define CUT 86 /* the exit status */

struct record { uint32_t kind, file; int64_t offset, length; };

static char directory[4096];
static int journal = -1;
static uint32_t files[DESCRIPTORS]; /* number of the watched file behind a descriptor, or 0 */
static uint32_t opened;
static int64_t operations, end_at; /* 0: never */
static int refused, refused_errno; /* bit mask of kinds */
static int64_t refused_from;       /* how many of these kinds pass first */

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static int ours(const char *path) {
    size_t length = strlen(directory);
    return length && strncmp(path, directory, length) == 0 && (path[length] == '/' || !path[length]);
}

static uint32_t file_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? files[descriptor] : 0;
}

static void note(struct record record, const void *payload, size_t length) {
    if (journal < 0) return;
    record.length = (int64_t)length;
    syscall(SYS_write, journal, &record, sizeof record);
    if (length) syscall(SYS_write, journal, payload, length);
}

/* The operation that a cut interrupts may be done in part: it is journalled, and never finished. A sync
 * that is interrupted has promised nothing. */
static void step(struct record record, const void *payload, size_t length) {
    operations++;
    if (operations != end_at || record.kind != SYNC) note(record, payload, length);
    if (operations == end_at) syscall(SYS_exit_group, CUT);
}

static int refuses(enum kind kind) {
    if (!(refused & (1 << kind))) return 0;
    if (refused_from-- > 0) return 0;
    errno = refused_errno;
    return 1;
}

void disk_watch(const char *path, const char *journal_path, int64_t at) {
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    snprintf(directory, sizeof directory, "%s", path);
    journal = (int)syscall(SYS_openat, AT_FDCWD, journal_path, flags, 0600);
    end_at = at;
    operations = 0;
}

void disk_refuse(int kinds, int error, int64_t after) {
    refused_errno = error;
    refused_from = after;
    refused = kinds;
}

static int opening(const char *path, int flags, mode_t mode) {
    static int (*real)(const char *, int, ...);
    if (!real) real = next("open64");
    if (!ours(path)) return real(path, flags, mode);
    int changes = flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR);
    if (changes && refuses(OPEN)) return -1;
    int absent = (flags & O_CREAT) && access(path, F_OK) != 0;
    int descriptor = real(path, flags, mode);
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return descriptor;
    files[descriptor] = ++opened;
    struct record record = {OPEN, opened, (absent ? CREATED : 0) | (flags & O_TRUNC ? TRUNCATED : 0), 0};
    if (record.offset) step(record, path, strlen(path));
    else note(record, path, strlen(path));
    return descriptor;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPENING(name)                                                                                  \
    int name(const char *path, int flags, ...) {                                                       \
        va_list arguments;                                                                             \
        va_start(arguments, flags);                                                                    \
        mode_t mode = mode_of(flags, arguments);                                                       \
        va_end(arguments);                                                                             \
        return opening(path, flags, mode);                                                             \
    }
OPENING(open)
OPENING(open64)

int close(int descriptor) {
    static int (*real)(int);
    if (!real) real = next("close");
    if (file_of(descriptor)) files[descriptor] = 0;
    return real(descriptor);
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = next("pwrite64");
    if (file_of(descriptor)) {
        if (refuses(WRITE)) return -1;
        step((struct record){WRITE, file_of(descriptor), offset, 0}, data, length);
    }
    return real(descriptor, data, length, offset);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t offset) {
    return pwrite64(descriptor, data, length, offset);
}

ssize_t write(int descriptor, const void *data, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = next("write");
    if (file_of(descriptor)) {
        if (refuses(WRITE)) return -1;
        step((struct record){WRITE, file_of(descriptor), lseek(descriptor, 0, SEEK_CUR), 0}, data, length);
    }
    return real(descriptor, data, length);
}

int ftruncate64(int descriptor, off64_t length) {
    static int (*real)(int, off64_t);
    if (!real) real = next("ftruncate64");
    if (file_of(descriptor)) {
        if (refuses(TRUNCATE)) return -1;
        step((struct record){TRUNCATE, file_of(descriptor), length, 0}, NULL, 0);
    }
    return real(descriptor, length);
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

/* The content is the kernel's at once: a real sync would only make the tests slow. */
int fsync(int descriptor) {
    static int (*real)(int);
    if (!real) real = next("fsync");
    if (!file_of(descriptor)) return real(descriptor);
    if (refuses(SYNC)) return -1;
    step((struct record){SYNC, file_of(descriptor), 0, 0}, NULL, 0);
    return 0;
}

int fdatasync(int descriptor) { return fsync(descriptor); }

int unlink(const char *path) {
    static int (*real)(const char *);
    if (!real) real = next("unlink");
    if (ours(path) && access(path, F_OK) == 0) {
        if (refuses(UNLINK)) return -1;
        step((struct record){UNLINK, 0, 0, 0}, path, strlen(path));
    }
    return real(path);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = next("rename");
    if (ours(from) || ours(to)) {
        if (refuses(RENAME)) return -1;
        char both[8192];
        int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
        step((struct record){RENAME, 0, 0, 0}, both, (size_t)length);
    }
    return real(from, to);
}
