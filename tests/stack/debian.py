"""Packages of Debian, fetched and unpacked without root and without touching the system's own state."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stack.kept import REPLACING, FetchError, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def unpack(
    folder: Path, log: Path, suite: str, packages: tuple[str, ...], wanted: Callable[[set[str]], set[str]]
) -> None:
    """These packages of a suite into `folder`; `wanted` chooses among them and all that they need.

    What apt verifies is verified: the archive's signature and the digest of each file.
    """
    what = packages[0]
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise FetchError(f"{what} is fetched with {tool}, which is not here: set {REPLACING}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        apt = _private_apt(Path(scratch), suite)
        log.write_bytes(b"")
        run([*apt, "update"], log, f"reading the list of packages of {suite}")
        names = wanted(_with_what_they_need(apt, log, packages))
        run([*apt, "download", *sorted(names)], log, f"downloading {what}", cwd=Path(scratch))
        for deb in sorted(Path(scratch).glob("*.deb")):
            run(["dpkg", "-x", str(deb), str(folder)], log, f"unpacking {what}")


def machine_suite(os_release: Path) -> str:
    """The Debian suite this machine runs; sid where it has no code name."""
    for line in os_release.read_text(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip().strip('"')
    return "sid"


def _with_what_they_need(apt: list[str], log: Path, packages: tuple[str, ...]) -> set[str]:
    listed = run([*apt, "install", "--print-uris", *packages], log, f"finding what {packages[0]} needs")
    # Each line is: 'URI' file_version_architecture.deb size digest
    files = (shlex.split(line)[1] for line in listed.splitlines() if line.startswith("'"))
    return {file.partition("_")[0] for file in files}


def _private_apt(scratch: Path, suite: str) -> list[str]:
    """An apt-get that knows one suite on this machine's own mirror and leaves the system's state alone."""
    keyrings = [
        Path("/usr/share/keyrings/debian-archive-keyring").with_suffix(kind) for kind in (".gpg", ".pgp")
    ]
    keyring = next((path for path in keyrings if path.exists()), None)
    if keyring is None:
        raise FetchError(f"Debian's archive keyring is not installed: set {REPLACING}")
    source = scratch / "suite.list"
    source.write_text(f"deb [signed-by={keyring}] {debian_mirror(Path('/etc/apt'))} {suite} main\n")
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    options = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch / "cache",
        "Dir::State::status": "/dev/null",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def debian_mirror(etc: Path) -> str:
    """The first mirror of Debian itself (not of its security archive) in apt's configuration."""
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in lists:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        for uri in _mirrors(path.read_text(errors="replace"), deb822=path.suffix == ".sources"):
            return uri
    raise FetchError(f"apt's configuration names no Debian mirror: set {REPLACING}")


def _mirrors(text: str, *, deb822: bool) -> Iterator[str]:
    for entry in text.split("\n\n") if deb822 else text.splitlines():
        if deb822:
            pairs = (line.split(":", 1) for line in entry.splitlines() if ":" in line and line[0] not in "# ")
            fields = {key.strip().lower(): value.split() for key, value in pairs}
            types, uris, suites = (fields.get(key, []) for key in ("types", "uris", "suites"))
        else:
            words = _without_options(entry)
            types, uris, suites = words[:1], words[1:2], words[2:3]
        names = [*uris, *suites]
        if (
            "deb" in types
            and any("debian" in uri for uri in uris)
            and not any("security" in n for n in names)
        ):
            yield uris[0]


def _without_options(line: str) -> list[str]:
    head, bracket, rest = line.partition("[")
    return (head + rest.partition("]")[2] if bracket else line).split()
