"""Fetches the real parts once into a cache: bitcoind from Debian's sid, ElectrumX from PyPI.

Run as `python -m tests.stack.fetch` it fetches both and prints where they are. `BITCOIND=/path` and
`ELECTRUMX=/path` replace them. What only some tests need comes from this machine's own suite:
Prometheus and Alertmanager (`MONITORING=/folder` with the four programs of `Monitoring` replaces them) and
Chromium (`CHROMIUM=/path`). From PyPI come axe-core, which looks for what hinders people on a page, and
schemathesis.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.stack import debian
from tests.stack.kept import FetchError, cached, existing, run, say

ELECTRUMX_VERSION = "1.20.0"  # protocol 1.4 to 1.6; 1.18.0 speaks 1.4.3 at most

# Everything ElectrumX 1.18 and 1.20 import, so that pip resolves nothing: both ask for "plyvel", which has
# wheels up to Python 3.12; plyvel-next is the same code with wheels from 3.13 on.
_ELECTRUMX_NEEDS = (
    "aiohappyeyeballs==2.7.1",
    "aiohttp==3.14.5",
    "aiorpcX==0.25.0",
    "aiosignal==1.4.0",
    "attrs==26.1.0",
    "frozenlist==1.8.0",
    "idna==3.20",
    "multidict==7.2.1",
    "propcache==0.5.4",
    "typing_extensions==4.16.0",
    "websockets==17.4",
    "yarl==1.25.1",
    "plyvel==1.5.1" if sys.version_info < (3, 13) else "plyvel-next==2.1.2",
)

# Sid holds one version at a time, so this one cannot be pinned; the cache keeps the first that was fetched.
_BITCOIND_PACKAGE = "bitcoin-knots"
# Go programs that need nothing but the C library, so those of the machine's own suite run as they are.
# From Debian 13 on promtool is a package of its own.
_MONITORING_PACKAGES = frozenset({"prometheus", "promtool", "prometheus-alertmanager"})
# Pulled in by maintainer scripts and systemd units, which a prefix of its own does not run.
_NOT_NEEDED = frozenset({"systemd", "libsystemd-shared", "debconf", "libmount1", "libblkid1", "libselinux1"})

# What draws windows and opens other programs; and the C library: the machine's own is of the same suite.
_NOT_FOR_CHROMIUM = ("xdg-", "x11-", "libgl1-mesa", "mesa-", "libllvm", "libz3", "libc6", "libc-", "debconf")

# All that schemathesis imports; in an environment of its own: its pytest plugin would load with every test.
_SCHEMATHESIS = (
    "anyio==4.16.0",
    "certifi==2026.10.19.post1",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "graphql-core==3.3.2",
    "harfile==0.6.0",
    "hypothesis==6.170.17",
    "hypothesis-graphql==0.13.5",
    "idna==3.20",
    "iniconfig==2.3.1",
    "jsonschema_rs==0.60.3",
    "markdown-it-py==4.3.0",
    "MarkupSafe==3.0.4",
    "mdurl==0.1.2",
    "packaging==26.3",
    "pluggy==1.7.0",
    "Pygments==2.21.0",
    "pyrate-limiter==4.5.1",
    "pytest==9.2.0",
    "PyYAML==6.0.4",
    "requests==2.34.2",
    "rich==15.0.0",
    "schemathesis==4.32.5",
    "sortedcontainers==2.4.0",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "Werkzeug==3.1.9",
)

_AXE = "axe-playwright-python==0.1.8"  # has axe-core 4.12.1 in it
_AXE_SHA256 = "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8"


@dataclass(frozen=True, slots=True)
class Parts:
    """Executables of the real parts."""

    bitcoind: Path
    electrumx: Path


def parts() -> Parts:
    """Both parts, fetched side by side when the cache is cold; raises `FetchError`."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        node, server = pool.submit(bitcoind), pool.submit(electrumx)
        return Parts(node.result(), server.result())


def bitcoind() -> Path:
    """The executable that `BITCOIND` names, else the cached one."""
    given = os.environ.get("BITCOIND")
    if given:
        return existing(given, "BITCOIND")
    return cached("bitcoind-sid", _build_bitcoind) / "run"


def electrumx(version: str = ELECTRUMX_VERSION) -> Path:
    """The executable that `ELECTRUMX` names (for the default version), else the cached one of `version`."""
    given = os.environ.get("ELECTRUMX")
    if given and version == ELECTRUMX_VERSION:
        return existing(given, "ELECTRUMX")
    name = f"electrumx-{version}-{_environment(_ELECTRUMX_NEEDS)}"
    return cached(name, lambda folder, log: _build_electrumx(folder, log, version)) / "run"


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Executables of Prometheus and Alertmanager, each with its checker."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path


def monitoring() -> Monitoring:
    """The executables in the folder that `MONITORING` names, else the cached ones; raises `FetchError`."""
    given = os.environ.get("MONITORING")
    if given:
        folder = Path(given)
    else:
        suite = debian.machine_suite(Path("/etc/os-release"))
        folder = cached(f"monitoring-{suite}", lambda to, log: _build_monitoring(to, log, suite)) / "usr/bin"
    names = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
    return Monitoring(*(existing(str(folder / name), "MONITORING") for name in names))


def chromium() -> Path:
    """The browser that `CHROMIUM` names, else the cached one; raises `FetchError`."""
    given = os.environ.get("CHROMIUM")
    if given:
        return existing(given, "CHROMIUM")
    suite = debian.machine_suite(Path("/etc/os-release"))
    return cached(f"chromium-{suite}", lambda folder, log: _build_chromium(folder, log, suite)) / "run"


def schemathesis() -> Path:
    """The program `schemathesis`; raises `FetchError`."""
    name = f"schemathesis-{_environment(_SCHEMATHESIS)}"
    return cached(name, _build_schemathesis) / "run"


def _environment(pins: tuple[str, ...]) -> str:
    """A virtual environment works only with the Python that made it, a changed pin is another environment."""
    digest = hashlib.sha256("\n".join(pins).encode()).hexdigest()[:8]
    return f"py{sys.version_info.major}.{sys.version_info.minor}-{digest}"


def axe() -> Path:
    """The script of axe-core, to be run in a page; raises `FetchError`."""
    return cached(f"axe-{_AXE_SHA256[:8]}", _build_axe) / "axe.min.js"


def _build_bitcoind(folder: Path, log: Path) -> None:
    debian.unpack(folder, log, "sid", (_BITCOIND_PACKAGE,), lambda names: names - _NOT_NEEDED)
    _write_launcher(folder, _loader_command(folder))
    version = run([str(folder / "run"), "-version"], log, "starting bitcoind").partition("\n")[0]
    say(f"bitcoind: {version}")


def _build_monitoring(folder: Path, log: Path, suite: str) -> None:
    packages = ("prometheus", "prometheus-alertmanager")
    debian.unpack(folder, log, suite, packages, lambda names: names & _MONITORING_PACKAGES)
    _move_templates(folder)
    for program in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
        run([str(folder / "usr/bin" / program), "--version"], log, f"starting {program}")


def _build_chromium(folder: Path, log: Path, suite: str) -> None:
    debian.unpack(
        folder,
        log,
        suite,
        ("chromium-headless-shell",),
        lambda names: {name for name in names if not name.startswith(_NOT_FOR_CHROMIUM)},
    )
    (libraries,) = folder.glob("usr/lib/*-linux-gnu")
    here = libraries.relative_to(folder)
    places = [here, Path("lib", libraries.name), here / "pulseaudio"]
    path = ":".join(f"$here/{place}" for place in places)
    _write_launcher(
        folder,
        '"$here/usr/lib/chromium/chromium-headless-shell"',
        variables=f'export LD_LIBRARY_PATH="{path}" FONTCONFIG_SYSROOT="$here"\n',
    )
    page = [str(folder / "run"), "--no-sandbox", "--disable-gpu", "--dump-dom", "data:text/html,<p>here</p>"]
    if "<p>here</p>" not in run(page, log, "starting Chromium"):
        raise FetchError(f"Chromium shows no page, see {log}")


def _build_schemathesis(folder: Path, log: Path) -> None:
    log.write_bytes(b"")
    run([sys.executable, "-m", "venv", str(folder)], log, "making an environment for schemathesis")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*pip, *_SCHEMATHESIS], log, "installing schemathesis")
    start = "from schemathesis.cli import schemathesis; schemathesis()"
    _write_launcher(folder, f'"$here/bin/python" -c "{start}"')
    run([str(folder / "run"), "--version"], log, "starting schemathesis")


def _build_axe(folder: Path, log: Path) -> None:
    log.write_bytes(b"")
    pinned = folder / "pinned.txt"
    pinned.write_text(f"{_AXE} --hash=sha256:{_AXE_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    run([*pip, "-r", str(pinned), "-d", str(folder)], log, "downloading axe-core")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        (script,) = (name for name in opened.namelist() if name.endswith("axe.min.js"))
        (folder / "axe.min.js").write_bytes(opened.read(script))


def _move_templates(folder: Path) -> None:
    """Let Alertmanager find its templates, whose place Debian compiles in, where it starts: without root."""
    compiled, program = b"/usr/share/prometheus/alertmanager", folder / "usr/bin/prometheus-alertmanager"
    code, here = program.read_bytes(), b"/proc/self/cwd".ljust(len(compiled), b"/")
    binary = program.rename(folder / "usr/share/prometheus/alertmanager/server")
    binary.write_bytes(code.replace(compiled, here))
    program.write_text(
        '#!/bin/sh\ncd "$(dirname "$0")/../share/prometheus/alertmanager" && exec ./server "$@"\n'
    )
    program.chmod(0o755)


def _loader_command(folder: Path) -> str:
    """How to run the node with the C library it was built against, wherever the cache lies."""
    loaders = list(folder.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    if len(loaders) != 1:
        raise FetchError(f"expected one dynamic loader beside bitcoind, found {len(loaders)}")
    loader = loaders[0].relative_to(folder)
    return f'"$here/{loader}" --library-path "$here/{loader.parent}" "$here/usr/bin/bitcoind"'


def _build_electrumx(folder: Path, log: Path, version: str) -> None:
    log.write_bytes(b"")
    run([sys.executable, "-m", "venv", str(folder)], log, "making an environment for ElectrumX")
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    run([*pip, f"e-x=={version}", *_ELECTRUMX_NEEDS], log, "installing ElectrumX")
    if sys.version_info >= (3, 13):
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "plyvel.py").write_text("from plyvel_next import *\n")
    _write_launcher(folder, '"$here/bin/python" -m electrumx.cli.electrumx_server')
    run([str(folder / "bin/python"), "-c", "import electrumx, plyvel"], log, "importing ElectrumX")


def _write_launcher(folder: Path, command: str, *, variables: str = "") -> None:
    """`folder/run`: finds its neighbours from its own place, since the folder is renamed when complete."""
    launcher = folder / "run"
    launcher.write_text(f'#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n{variables}exec {command} "$@"\n')
    launcher.chmod(0o755)


def main() -> int:
    """Fetch both and print their paths."""
    try:
        fetched = parts()
    except FetchError as failure:
        say(str(failure))
        return 1
    print(fetched.bitcoind, fetched.electrumx, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
