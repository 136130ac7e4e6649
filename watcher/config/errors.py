"""What is wrong with a config: every error at once, each where it stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One error: `line` counts from 1 and is None where the file could not be read; `key` may be empty."""

    file: Path
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        """The error on one line: `watcher.toml:12: treasuries[0].name: …`."""
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}"


class ConfigErrors(Exception):
    """The config cannot be used; `errors` holds everything found, by file and line."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` with the known word most like this one, or, without one, what there is."""
    known = list(known)
    folded = {each.casefold(): each for each in known}
    if close := difflib.get_close_matches(word[:100].casefold(), folded, n=1, cutoff=0.6):
        return f'; did you mean "{folded[close[0]]}"?'
    if not known:
        return ""
    listed = ", ".join(known[:12])
    return f" (known: {listed}{', …' if len(known) > 12 else ''})"
