"""Lists of addresses as CSV with a header: each row its address and where that comes from."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from watcher.config import values
from watcher.config.errors import ConfigError, nearest
from watcher.config.settings import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

_CONVERT: Final[Mapping[str, Callable[[object], object]]] = {
    "label": values.plain_text,
    "published": values.day,
    "by": values.plain_text,
    "source": values.plain_text,
    "read": values.day,
    "licence": values.plain_text,
    "member_from": values.membership,
    "member_until": values.membership,
}
_COLUMNS: Final = ("address", *_CONVERT)


class Row(NamedTuple):
    """A row of a list as a place for errors."""

    file: Path
    line: int

    def error(self, text: str, column: str = "") -> ConfigError:
        """An error in this row."""
        return ConfigError(self.file, self.line, column, text)

    def __str__(self) -> str:
        """The place as another error names it: `list.csv:12`."""
        return f"{self.file}:{self.line}"


Entry: TypeAlias = tuple[Row, str, Provenance]  # an address as it stands in a row


def read_list(file: Path, text: str, above: Provenance) -> Iterator[Entry | ConfigError]:
    """The entries of a list, or what is wrong with each; an empty cell has what stands `above` the list."""
    # lines as csv has them: `splitlines` would also end one at what is merely odd in a label
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    line = 1
    try:
        columns = [name.strip() for name in next(reader, [])]
        if wrong := list(_column_errors(Row(file, 1), columns)):
            yield from wrong
            return
        at, others = columns.index("address"), _others(columns)
        # most rows of a long list differ in nothing but the address
        seen: dict[tuple[str, ...], Provenance] = {}
        line = reader.line_num + 1
        for fields in reader:
            row = Row(file, line)
            line = reader.line_num + 1
            if not fields:
                continue
            if len(fields) != len(columns):
                yield row.error(f"has {len(fields)} fields and the header {len(columns)}")
                continue
            cells = tuple([fields[index] for index in others])
            if (provenance := seen.get(cells)) is None:
                made = _provenance(row, others, cells, above)
                if isinstance(made, ConfigError):
                    yield made
                    continue
                provenance = seen[cells] = made
            if address := fields[at].strip():
                yield row, address, provenance
            else:
                yield row.error("is empty", "address")
    except csv.Error as error:
        yield Row(file, line).error(f"not CSV: {error}")


def _others(columns: Sequence[str]) -> Mapping[int, str]:
    return {index: name for index, name in enumerate(columns) if name != "address"}


def _column_errors(header: Row, columns: Sequence[str]) -> Iterator[ConfigError]:
    if "address" not in columns:
        said = "the first line must be a header with the column address"
        if any(mark in name for name in columns for mark in ";\t"):
            said += ", and commas between the columns"
        elif "address" in map(str.lower, columns):
            said += ", in small letters"
        yield header.error(said)
        return
    for index, name in enumerate(columns):
        if name not in _COLUMNS:
            yield header.error(f"unknown column {name[:64]!a}{nearest(name, _COLUMNS)}")
        elif name in columns[:index]:
            yield header.error("the column stands there twice", name)


def _provenance(
    row: Row, columns: Mapping[int, str], cells: tuple[str, ...], above: Provenance
) -> Provenance | ConfigError:
    entry: dict[str, object] = {}
    for column, cell in zip(columns.values(), cells, strict=True):
        try:
            if text := cell.strip():
                entry[column] = _CONVERT[column](text)
        except ValueError as error:
            return row.error(str(error), column)
    made = Provenance(**(above._asdict() | entry))
    if values.not_after(made.member_until, made.member_from):
        return row.error("must be after member_from", "member_until")
    return made
