"""The bench's comparison judges by ratios, and only what moved beyond both spreads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.__main__ import main
from tests.bench.compare import compare
from tests.bench.result import Result, Row, figure, spread, table

if TYPE_CHECKING:
    from pathlib import Path


def row(*ratios: float, name: str = "row", more_is_better: bool = False, machine: float = 1.0) -> Row:
    """A row with these ratios on a machine that is so many times as slow as another."""
    theirs = tuple(machine for _ in ratios)
    return Row(name, "ms", more_is_better, tuple(ratio * machine for ratio in ratios), "bare", theirs)


@pytest.mark.parametrize(
    ("old", "new", "more_is_better", "worse"),
    [
        ((1.0, 1.1, 1.2), (1.5, 1.6, 1.7), False, True),
        ((1.0, 1.1, 1.2), (1.5, 1.6, 1.7), True, False),
        ((1.5, 1.6, 1.7), (1.0, 1.1, 1.2), False, False),
        ((1.5, 1.6, 1.7), (1.0, 1.1, 1.2), True, True),
        ((1.0, 1.1, 1.9), (1.5, 1.6, 1.7), False, False),  # the spreads touch
        ((1.0, 1.01, 1.02), (1.03, 1.04, 1.05), False, False),  # apart, and too little to matter
    ],
)
def test_worse_is_what_moved_beyond_both_spreads(
    old: tuple[float, ...], new: tuple[float, ...], *, more_is_better: bool, worse: bool
) -> None:
    before = Result({}, [row(*old, more_is_better=more_is_better)])
    after = Result({}, [row(*new, more_is_better=more_is_better)])
    assert compare(before, after).worse == (("row",) if worse else ())


def test_a_slower_machine_makes_nothing_worse() -> None:
    before, after = row(1.0, 1.1), row(1.0, 1.1, machine=7.0)
    assert after.ours == pytest.approx((7.0, 7.7))
    assert compare(Result({}, [before]), Result({}, [after])).worse == ()


def test_rows_that_one_of_them_has_are_named() -> None:
    told = compare(Result({}, [row(1.0, name="gone")]), Result({}, [row(1.0, name="come")]))
    assert told.worse == ()
    assert "| come | | 1.00 | | new |" in told.text
    assert "| gone | 1.00 | | | not measured |" in told.text


def test_the_command_says_it_with_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fast, slow, none = (tmp_path / name for name in ("fast.json", "slow.json", "none.json"))
    Result({"cores": 2}, [row(1.0, 1.1)]).write(fast)
    Result({"cores": 2}, [row(2.0, 2.1)]).write(slow)
    none.write_text("{}")
    assert main(["compare", str(fast), str(fast)]) == 0
    assert main(["compare", str(slow), str(fast)]) == 0
    assert main(["compare", str(fast), str(slow)]) == 1
    assert "| row | 1.05 (1.00 to 1.10) | 2.05 (2.00 to 2.10) | 1.95 | worse |" in capsys.readouterr().out
    assert main(["compare", str(fast), str(none)]) == 2
    assert main(["compare", str(fast), str(tmp_path / "nowhere")]) == 2
    assert f"{none} is no result of a bench" in capsys.readouterr().err


def test_a_row_is_pairs() -> None:
    with pytest.raises(ValueError, match="2 samples beside 1 references"):
        Row("row", "ms", False, (1.0, 2.0), "bare", (1.0,))
    assert Row("row", "ms", False, (4.0, 9.0), "bare", (2.0, 3.0)).ratios == (2.0, 3.0)


def test_figures_have_three_digits() -> None:
    assert [figure(n) for n in (0, 0.01234, 1.005, 12.34, 999.4, 12_345.6)] == [
        "0",
        "0.0123",
        "1.00",
        "12.3",
        "999",
        "12,346",
    ]
    assert spread(list(range(1, 101))) == (10, 90)
    assert spread([3, 1, 2]) == (1, 3)
    assert table([row(0.5)]).splitlines()[-1] == "| row | 0.500 ms | bare | 1.00 ms | 0.500 |"
