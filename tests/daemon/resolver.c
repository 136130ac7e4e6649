/* A resolver that does not answer, for LD_PRELOAD: whoever looks up a name under .hangs waits for ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*answer)(const char *, const char *, const struct addrinfo *, struct addrinfo **)
        = dlsym(RTLD_NEXT, "getaddrinfo");

    if (name != NULL && strstr(name, ".hangs") != NULL)
        for (;;)
            pause();
    return answer(name, service, hints, found);
}
