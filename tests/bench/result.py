"""What was measured: pairs of our figure and the reference's, taken one right after the other."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT: Final = 1
_LOW, _HIGH = 0.1, 0.9  # the spread that is shown: eight of ten samples lie in it


@dataclass(frozen=True, slots=True)
class Row:
    """One figure with its reference; `ours[i]` and `theirs[i]` are a pair and in the same `unit`.

    `beside` holds other figures of the same run; their names say their units.
    """

    name: str
    unit: str
    more_is_better: bool
    ours: tuple[float, ...]
    reference: str
    theirs: tuple[float, ...]
    beside: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ours or len(self.ours) != len(self.theirs):
            raise ValueError(f"{self.name}: {len(self.ours)} samples beside {len(self.theirs)} references")

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours by theirs, pair by pair."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))


@dataclass(frozen=True, slots=True)
class Result:
    """A run: what it ran on, and its rows in the order they were measured."""

    machine: Mapping[str, Any]
    rows: Sequence[Row]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in self.rows]
        path.write_text(
            json.dumps({"format": FORMAT, "machine": self.machine, "rows": rows}, indent=1) + "\n"
        )

    @classmethod
    def read(cls, path: Path) -> Result:
        """What `write` wrote; raises ValueError for anything else."""
        try:
            told = json.loads(path.read_text())
            if told["format"] != FORMAT:
                raise ValueError(f"{path}: format {told['format']}, not {FORMAT}")
            rows = [
                Row(**{**row, "ours": tuple(row["ours"]), "theirs": tuple(row["theirs"])})
                for row in told["rows"]
            ]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} is no result of a bench: {error}") from None
        return cls(told["machine"], rows)


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample that this share of them does not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(share * len(samples)) - 1)]


def spread(samples: Sequence[float]) -> tuple[float, float]:
    """What eight of ten samples lie between; of fewer than ten, the least and the greatest."""
    if len(samples) < 10:
        return min(samples), max(samples)
    return quantile(samples, _LOW), quantile(samples, _HIGH)


def median(samples: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(samples)


def figure(number: float) -> str:
    """Three significant digits, and no more than there are."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    places = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{places}f}"


def shown(samples: Sequence[float]) -> str:
    """The median and, where there are several, the spread."""
    low, high = spread(samples)
    middle = figure(median(samples))
    return middle if len(samples) == 1 else f"{middle} ({figure(low)} to {figure(high)})"


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, and under them what stands beside."""
    lines = [
        "| what | measured | reference | its figure | ratio |",
        "|---|---|---|---|---|",
        *(
            f"| {row.name} | {shown(row.ours)} {row.unit} | {row.reference} | {shown(row.theirs)} {row.unit} "
            f"| {shown(row.ratios)}{', more is better' if row.more_is_better else ''} |"
            for row in rows
        ),
    ]
    notes = [
        f"- {row.name}: " + ", ".join(f"{name} {figure(number)}" for name, number in row.beside.items())
        for row in rows
        if row.beside
    ]
    return "\n".join([*lines, *(["", *notes] if notes else [])])
