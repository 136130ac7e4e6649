"""Two runs side by side, by their ratios: those do not change when the machine does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.result import figure, median, shown, spread

if TYPE_CHECKING:
    from tests.bench.result import Result, Row

NOTABLE: Final = 0.1  # a median that moved by less is taken for noise, whatever the spreads


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to print, and the names of the rows that got worse beyond both spreads."""

    text: str
    worse: tuple[str, ...]


def compare(old: Result, new: Result) -> Comparison:
    """Row by row; a row that only one of them has is named and judged by nobody."""
    before = {row.name: row for row in old.rows}
    lines = ["| what | old ratio | new ratio | new by old | |", "|---|---|---|---|---|"]
    worse: list[str] = []
    for row in new.rows:
        earlier = before.pop(row.name, None)
        if earlier is None:
            lines.append(f"| {row.name} | | {shown(row.ratios)} | | new |")
            continue
        verdict = judge(earlier, row)
        change = median(row.ratios) / median(earlier.ratios)
        lines.append(
            f"| {row.name} | {shown(earlier.ratios)} | {shown(row.ratios)} | {figure(change)} | {verdict} |"
        )
        if verdict == "worse":
            worse.append(row.name)
    lines += [f"| {name} | {shown(row.ratios)} | | | not measured |" for name, row in before.items()]
    return Comparison("\n".join(lines), tuple(worse))


def judge(old: Row, new: Row) -> str:
    """`better` or `worse` where the spreads do not touch and the medians differ notably, else `same`."""
    low, high = spread(new.ratios)
    old_low, old_high = spread(old.ratios)
    change = median(new.ratios) / median(old.ratios)
    if low > old_high and change > 1 + NOTABLE:
        return "better" if new.more_is_better else "worse"
    if high < old_low and change < 1 / (1 + NOTABLE):
        return "worse" if new.more_is_better else "better"
    return "same"
