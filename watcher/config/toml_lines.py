"""On which line each key of a TOML file stands, which the standard library's parser does not tell.

The text has been accepted by `tomllib` before it comes here, so this reads only as much of the grammar
(TOML 1.0) as it takes to find keys: it looks for no errors and keeps no values.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRING: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, from 1, of every table, key and array element of a valid TOML text."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}  # how many [[headers]] of this name there were
        self._newlines = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._header(brackets=2)
            elif self.text[self.at] == "[":
                table = self._header(brackets=1)
            else:
                self._pair(table)

    def _header(self, *, brackets: int) -> KeyPath:
        start = self.at
        self.at += brackets
        *parents, last = self._key()
        self.at += brackets
        path: KeyPath = ()
        for part in parents:
            self._mark((*path, part), start)
            path = self._newest((*path, part))
        path = (*path, last)
        if brackets == 2:
            self._mark(path, start)
            self._elements[path] = self._elements.get(path, 0) + 1
        path = self._newest(path)
        self._mark(path, start)
        return path

    def _newest(self, path: KeyPath) -> KeyPath:
        count = self._elements.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        start = self.at
        path = table
        for part in self._key():
            path = (*path, part)
            self._mark(path, start)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            if found := _STRING.match(self.text, self.at):
                parts.append(_unquoted(found.group()))
            elif found := _BARE.match(self.text, self.at):
                parts.append(found.group())
            else:
                raise AssertionError("a key was expected: the text is not valid TOML")
            self.at = found.end()
            self._skip(_SPACE)
            if self.text[self.at : self.at + 1] != ".":
                return parts
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        match self.text[self.at]:
            case '"' | "'":
                self._skip(_STRING)
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self.text[self._skip(_BLANK)] != "]":
            self._mark((*path, index), self.at)
            self._value((*path, index))
            index += 1
            if self.text[self._skip(_BLANK)] == ",":
                self.at += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self.text[self._skip(_BLANK)] != "}":
            self._pair(path)
            if self.text[self._skip(_BLANK)] == ",":
                self.at += 1
        self.at += 1

    def _mark(self, path: KeyPath, offset: int) -> None:
        self.lines.setdefault(path, bisect_right(self._newlines, offset - 1) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return self.at


def _unquoted(quoted: str) -> str:
    # a known key holds no escapes; one that does is unknown and needs only its place
    return quoted[1:-1]
