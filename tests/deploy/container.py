"""A booted container: systemd as process 1, its own network, and nothing of it left afterwards."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.stack.processes import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_numbers = itertools.count()

# Into the cgroups that are named before the `--`, so that no two containers share one; then the command.
_ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


# The daemon says 503 when a read of its ledger took too long, which on a busy machine any may.
_ASK = """\
import sys, time, urllib.error, urllib.request
method, url = sys.argv[1:]
for left in reversed(range(60)):
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60)
    except urllib.error.HTTPError as error:
        if error.code != 503 or not left:
            raise
        time.sleep(1)
    else:
        print(answer.read().decode())
        break
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command in the container ended."""

    code: int
    out: str
    err: str


class Container:
    """`with Container(root, log) as container`: booted from `root`, which stays as it is.

    What is written lies in memory; `binds` are folders of this machine, read-only, by their path inside.
    systemd-nspawn is the one in `root`, with the libraries it came with.
    """

    def __init__(self, root: Path, log: Path, *, binds: Mapping[str, Path]) -> None:
        self._name = f"treasury-watcher-{os.getpid()}-{next(_numbers)}"
        libraries = root / "usr/lib" / f"{os.uname().machine}-linux-gnu"
        (loader,) = libraries.glob("ld-linux*.so.*")
        path = f"{libraries}:{libraries}/systemd"
        self._cgroups = [folder / self._name for folder in _own_cgroups()]
        self._child = Child(
            [
                *("sh", "-c", _ENTER, "sh", *self._cgroups, "--"),
                *(loader, "--library-path", path, root / "usr/bin/systemd-nspawn"),
                *("--quiet", f"--directory={root}", f"--machine={self._name}", "--volatile=overlay"),
                *("--boot", "--register=no", "--keep-unit", "--private-network", "--kill-signal=SIGRTMIN+3"),
                # a unit's IP lists are programs in the kernel; without these they are ignored
                *("--capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN", "--system-call-filter=bpf"),
                *(f"--bind-ro={folder}:{inside}" for inside, folder in binds.items()),
            ],
            log=log,
            # as Debian boots; the IP lists of a unit work in no other
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        self._leader = 0

    def __enter__(self) -> Self:
        for folder in self._cgroups:
            folder.mkdir()
        self._child.start()
        try:
            self.wait(self._booted, within=300, what="the container to boot")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.signal(signal.SIGTERM)  # which nspawn hands on as an order to halt
        with suppress(TimeoutError):
            self.wait(lambda: not self._child.running, within=60, what="the container to halt")
        self._end()

    def _end(self) -> None:
        self._child.kill()
        remains = [Path("/run/systemd/nspawn/propagate", self._name)]
        for group in self._cgroups:
            remains += [*sorted(filter(Path.is_dir, group.rglob("*")), reverse=True), group]
        for folder in remains:
            with suppress(OSError):  # the kernel lets go of a cgroup a moment after its last process
                folder.rmdir()

    def run(self, *command: str, user: str = "root", within: float = 180, given: str = "") -> Outcome:
        """A command inside, with the environment of a fresh login."""
        done = subprocess.run(
            [
                *("nsenter", f"--target={self._leader}", "--all", "--"),
                *("env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                *("LANG=C.UTF-8", "runuser", "-u", user, "--", *command),
            ],
            input=given,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ok(self, *command: str, user: str = "root", within: float = 180, given: str = "") -> str:
        """The output of a command inside that has to succeed."""
        done = self.run(*command, user=user, within=within, given=given)
        assert done.code == 0, f"{' '.join(command)}: {done}\n{self.journal()}"
        return done.out

    def write(self, path: str, text: str) -> None:
        """Put a file there, as root; one that is there keeps its owner and mode."""
        self.ok("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path, given=text)

    def http(self, url: str, *, method: str = "GET") -> str:
        """The body of a successful answer to a request made inside; while it is 503, asked again."""
        return self.ok("python3", "-c", _ASK, method, url)

    def json(self, url: str, *, method: str = "GET") -> Any:
        """The value of such an answer."""
        return json.loads(self.http(url, method=method))

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.ok("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def journal(self, lines: int = 60) -> str:
        """The end of the journal of our unit, in which a line is a while after it was written."""
        return self.run("journalctl", "--no-pager", f"-n{lines}", "-o", "cat", "-u", "treasury-watcher").out

    def wait(self, condition: Callable[[], bool], *, within: float, what: str) -> None:
        """Until it holds; raises `TimeoutError` with what was waited for and the last words of all."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline or not (self._child.running or "halt" in what):
                journal = self.journal() if self._leader else ""
                raise TimeoutError(f"{what}: not within {within:g} s\n{self._child.tail()}\n{journal}")
            time.sleep(0.1)

    def _booted(self) -> bool:
        self._leader = _first_inside(self._child.pid)
        if not self._leader:
            return False
        return self.run("systemctl", "is-system-running").out.strip() in {"running", "degraded"}


def _own_cgroups() -> list[Path]:
    """Where we are in each hierarchy by which a systemd tells processes apart."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, name, path = line.split(":", 2)
        own[name] = path.lstrip("/")
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    unified = [Path(point, own[""]) for _, point, kind, *_ in mounts if kind == "cgroup2" and "" in own]
    named = [
        Path(point, own["name=systemd"])
        for _, point, kind, options, *_ in mounts
        if kind == "cgroup" and "name=systemd" in options.split(",") and "name=systemd" in own
    ]
    return [*unified[:1], *named[:1]]


def _first_inside(parent: int) -> int:
    """The child of this one that is process 1 of its own namespace, 0 where there is none.

    nspawn has another child for a moment, which is still outside: asked there, this machine has booted.
    """
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # ended meanwhile
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            inside = fields["NSpid"].split()
            if int(fields["PPid"]) == parent and len(inside) > 1 and inside[-1] == "1":
                return int(status.parent.name)
    return 0
