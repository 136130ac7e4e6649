"""A wall clock for a process that a test sets as it likes; built from `clock.c`."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

_OFFSET = struct.Struct("=q")


class Clock:
    """`environment` gives a process this clock; `set_by` moves it for all that have it, at once."""

    def __init__(self, folder: Path) -> None:
        compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
        if compiler is None:
            pytest.skip("a clock that can be set needs a C compiler")
        folder.mkdir(parents=True)
        library, file = folder / "clock.so", folder / "offset"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        file.write_bytes(_OFFSET.pack(0))
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), _OFFSET.size)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(file)}

    def set_by(self, seconds: int) -> None:
        """So many seconds off the system's clock from now on."""
        self._offset[:] = _OFFSET.pack(seconds)
