"""A Debian that systemd can boot, made once into the cache; and the wheelhouse to install there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from tests.stack import debian, kept

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = "bookworm"
PYTHON: Final = "3.11"  # of that suite
# What the target of an installation has, python3-venv not included; systemd-container is for us.
_INCLUDED: Final = ("systemd", "systemd-sysv", "systemd-container", "dbus", "python3")
_TOOLS: Final = ("apt-get", "dpkg", "nsenter", "setpriv", "systemd-analyze", "tar", "wget")
_STEP_SECONDS: Final = 900


def version() -> str:
    """Of the program in this tree."""
    project: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return project


def impossible() -> str | None:
    """Why no container can be booted here; None where it can be tried."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "booting a container needs Linux and root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"booting a container needs {', '.join(missing)}" if missing else None


def rootfs() -> Path:
    """The folder with the Debian; raises `FetchError`."""
    return kept.cached(f"debian-{SUITE}", _debootstrap)


def wheelhouse(folder: Path, *, source: Path = ROOT) -> Path:
    """The archive that `make package` makes of the tree at `source`, unpacked into `folder`."""
    archive = kept.tried(lambda: _packed(folder, source))
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True, timeout=300)
    return folder / archive.name.removesuffix(".tar.gz")


def _packed(folder: Path, source: Path) -> Path:
    """The archive itself; its wheels are fetched from the index."""
    made = subprocess.run(
        ["sh", source / "deploy/package.sh", folder],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONS": PYTHON},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    if made.returncode != 0:
        raise kept.StepError(f"package.sh failed with {made.returncode}: {made.stderr}")
    return Path(made.stdout.strip())


def _debootstrap(made: Path, log: Path) -> None:
    """A fresh Debian in the folder `made`, by this machine's apt sources; its apt state is left alone."""
    log.write_bytes(b"")
    with tempfile.TemporaryDirectory(prefix=f"{made.name}.", dir=made.parent) as named:
        scratch = Path(named)
        lists, archives = scratch / "lists", scratch / "cache"
        for folder in (lists / "partial", archives / "archives/partial"):
            folder.mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}"]
        apt += ["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]
        _step([*apt, "update"], log, scratch)
        _step([*apt, "download", "debootstrap"], log, scratch)
        _step(["dpkg", "-x", str(next(scratch.glob("debootstrap_*.deb"))), "tool"], log, scratch)
        tool = scratch / "tool"
        _step(
            [
                *("env", f"DEBOOTSTRAP_DIR={tool}/usr/share/debootstrap", f"{tool}/usr/sbin/debootstrap"),
                *("--variant=minbase", f"--include={','.join(_INCLUDED)}"),
                *(SUITE, str(made), debian.debian_mirror(Path("/etc/apt"))),
            ],
            log,
            scratch,
        )
    shutil.rmtree(made / "var/cache/apt/archives")


def _step(command: list[str], log: Path, folder: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=_STEP_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise kept.StepError(f"a small Debian could not be made: {command[0]} failed, see {log}")
