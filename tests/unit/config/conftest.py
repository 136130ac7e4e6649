"""A config written into a folder of its own, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from watcher.config import Config, ConfigErrors, load_config

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:50001"
"""


@dataclass(frozen=True)
class Folder:
    """Where the config and what it names are written."""

    path: Path

    def write(self, text: str, name: str = "watcher.toml") -> Path:
        """A file in the folder."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(self, text: str, *, source: str = SOURCE, environ: dict[str, str] | None = None) -> Config:
        """The config of this text, with a source unless another is given."""
        return load_config(self.write(text + source), environ=environ or {"HOME": str(self.path)})

    def errors(self, text: str, *, source: str = SOURCE) -> list[str]:
        """All errors, their files by name only."""
        with pytest.raises(ConfigErrors) as refused:
            self.load(text, source=source)
        return [str(error).replace(f"{self.path}/", "") for error in refused.value.errors]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
