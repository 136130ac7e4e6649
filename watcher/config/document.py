"""One TOML file, and the places in it that errors point to."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from watcher.config.errors import ConfigError, ConfigErrors
from watcher.config.toml_lines import key_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from watcher.config.toml_lines import KeyPath

MOST_BYTES = 64 * 1024 * 1024  # a million addresses in a list; anything larger is not a config
NO_NAME = "holds the character NUL, which no name of a file can"
_CURLY = re.compile("[\u2018\u2019\u201c\u201d\u201e]")
_SYNTAX_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


@dataclass(frozen=True, slots=True)
class Place:
    """A key of a file. Its line is looked for only when somebody asks: most configs are right."""

    document: Document
    path: KeyPath = ()

    def at(self, *keys: str | int) -> Place:
        """The place of a key below this one."""
        return Place(self.document, self.path + keys)

    @property
    def line(self) -> int:
        """The key's line, or that of the table which should hold it."""
        lines = self.document.lines
        ends = range(len(self.path), 0, -1)
        return next((lines[self.path[:end]] for end in ends if self.path[:end] in lines), 1)

    @property
    def key(self) -> str:
        """The key as people write it: `treasuries[0].watch[3].address`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in self.path)[1:]

    def error(self, text: str) -> ConfigError:
        """An error at this place."""
        return ConfigError(self.document.file, self.line, self.key, text)

    def __str__(self) -> str:
        """The place as another error names it: `watcher.toml:12`."""
        return f"{self.document.file}:{self.line}"


@dataclass(frozen=True, eq=False)
class Document:
    """A TOML file as read; its text may hold secrets and is never shown."""

    file: Path
    text: str = field(repr=False)
    content: Mapping[str, object] = field(repr=False)

    @cached_property
    def lines(self) -> Mapping[KeyPath, int]:
        """The line of each key."""
        return key_lines(self.text)

    @property
    def folder(self) -> Path:
        """Where the paths in it start."""
        return self.file.absolute().parent

    @property
    def top(self) -> Place:
        """The place of the file itself."""
        return Place(self)


def read_text(file: Path) -> str:
    """The text of a file of at most `MOST_BYTES`; raises `ConfigErrors` when it cannot be had."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        said = getattr(error, "strerror", None) or f"its name {NO_NAME}"
        raise ConfigErrors([ConfigError(file, None, "", f"cannot be read: {said}")]) from None
    if len(content) > MOST_BYTES:
        raise ConfigErrors([ConfigError(file, None, "", f"is larger than {MOST_BYTES} bytes")])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([ConfigError(file, line, "", "is not UTF-8")]) from None


def refuse_pipe(file: Path) -> None:
    """`ConfigErrors` for a pipe: whoever opens one waits, perhaps for ever, and with him every reload."""
    with suppress(OSError):  # why it cannot be read is told by who reads it
        if file.is_fifo():
            raise ConfigErrors([ConfigError(file, None, "", "cannot be read: it is a pipe")])


def read_document(file: Path) -> Document:
    """A TOML file, read and parsed; raises `ConfigErrors` with the line at which its syntax ends."""
    text = read_text(file).removeprefix("\ufeff")  # some editors write it, and nobody sees it
    try:
        return Document(file, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigErrors([_syntax_error(file, text, str(error))]) from None
    except (RecursionError, ValueError):
        # ValueError: Python's own bound on the digits of an integer
        raise ConfigErrors(
            [ConfigError(file, None, "", "holds a number or a nesting beyond all measure")]
        ) from None


def _syntax_error(file: Path, text: str, message: str) -> ConfigError:
    if found := _SYNTAX_LINE.search(message):
        line, said = int(found.group(1)), message[: found.start()]
        if _CURLY.search(text.split("\n")[line - 1]):
            said += ", perhaps for its curly quotes: texts stand in straight ones"
        elif said == r"Illegal character '\n'":
            said = "a text in quotes ends where its line does: is a quote missing?"
        elif said == "Cannot overwrite a value" or said.endswith("twice"):
            said = "the same key or table stands there twice, or once in [ ] and once in [[ ]]"
        return ConfigError(file, line, "", f"not TOML: {said}")
    return ConfigError(
        file, text.count("\n") + 1, "", f"not TOML: {message.removesuffix(' (at end of document)')}"
    )


def _shown(part: str) -> str:
    """A key of ours as it is; a stranger's bounded and escaped, since it goes to terminals and logs."""
    return part if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", part) else ascii(part[:64])
