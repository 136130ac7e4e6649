"""`python -m tests.bench [--full] [--scripts N] [--only ROW …] [--out FILE]`, or `… compare OLD NEW`."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.block import block
from tests.bench.busy import busy
from tests.bench.company import company
from tests.bench.compare import compare
from tests.bench.deliveries import deliveries
from tests.bench.detection import detection
from tests.bench.disk import fsync_ms
from tests.bench.electrum import against_electrum, start_beside_electrum
from tests.bench.idle import idle
from tests.bench.ledger_writes import ledger_growth, ledger_writes
from tests.bench.restarting import restarting
from tests.bench.result import Result, Row, figure, median, table
from tests.bench.starting import starting
from tests.stack.regtest import regtest
from watcher.ledger.sqlite import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.stack.regtest import Regtest

DEFAULT_OUT: Final = Path("build/bench.json")
GROUPS: Final = (
    "detection",
    "electrum",
    "starting",
    "block",
    "idle",
    "busy",
    "deliveries",
    "company",
    "ledger",
    "growth",
    "restarting",
)
ON_THE_STACK: Final = frozenset({"detection", "electrum", "starting", "block", "idle"})


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: `samples` of the detection, `touched` scripts of the block, the rest as named.

    `history` is how many transactions the busy address has, `grown` how many scripts the grown ledger,
    `past` how many that with a past, in which nearly each was paid. `rows` are those of the spreadsheet that
    company takes while `arriving` events arrive.
    """

    scripts: int
    samples: int
    touched: int
    events: int
    history: int
    grown: int
    past: int
    rows: int
    arriving: int
    repeats: int


QUICK: Final = Size(
    scripts=1_000,
    samples=60,
    touched=100,
    events=5_000,
    history=2_000,
    grown=20_000,
    past=10_000,
    rows=20_000,
    arriving=200,
    repeats=3,
)
FULL: Final = Size(
    scripts=100_000,
    samples=500,
    touched=1_000,
    events=5_000,
    history=50_000,
    grown=1_000_000,
    past=100_000,
    rows=1_000_000,
    arriving=1_000,
    repeats=5,
)


def main(words: Sequence[str]) -> int:
    """The exit code: 1 when a comparison found a row that got worse, 2 for what cannot be compared."""
    if words[:1] == ["compare"]:
        return _compare(words[1:])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about three minutes (the default)")
    parser.add_argument("--full", action="store_true", help="100,000 addresses and more samples: takes long")
    parser.add_argument("--scripts", type=int, help="how many addresses are watched")
    parser.add_argument("--samples", type=int, help="how many notifications are timed")
    parser.add_argument("--repeats", type=int, help="how often the rest is measured")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    told = parser.parse_args(words)
    size = FULL if told.full else QUICK
    chosen = {name: getattr(told, name) for name in ("scripts", "samples", "repeats")}
    size = replace(size, **{name: number for name, number in chosen.items() if number})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = asyncio.run(run(Path(folder), size, told.only))
    result.write(told.out)
    print(f"\n{table(result.rows)}\n")
    print(f"fsync of this disk {figure(result.machine['fsync_ms'])} ms; in {time.monotonic() - began:.0f} s")
    print(f"written to {told.out}")
    return 0


async def run(folder: Path, size: Size, groups: Sequence[str]) -> Result:
    """Measure these groups, in their order."""
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        stand: Regtest | None = None
        for group in (group for group in GROUPS if group in groups):
            print(f"{group} …", file=sys.stderr, flush=True)
            if group in ON_THE_STACK and stand is None:
                stand = await stack.enter_async_context(regtest(folder / "regtest"))
            rows += await _group(group, folder / group, size, stand)
    return Result({**_machine(), "fsync_ms": median(fsync_ms(folder))}, rows)


async def _group(  # noqa: PLR0911 - a return a group
    group: str, folder: Path, size: Size, stand: Regtest | None
) -> list[Row]:
    folder.mkdir()
    if stand is not None and group in ON_THE_STACK:
        return await _on_the_stack(group, folder, size, stand)
    match group:
        case "busy":
            return [await busy(folder, transactions=size.history, repeats=size.repeats)]
        case "deliveries":
            return [await deliveries(folder, events=size.events, repeats=size.repeats)]
        case "company":
            return await company(folder, rows=size.rows, events=size.arriving, repeats=size.repeats)
        case "restarting":
            payments = size.past * 95 // 100  # ten and a half rows a script: a million of a hundred thousand
            return [await restarting(folder, scripts=size.past, payments=payments, repeats=size.repeats)]
        case "growth":
            return [await ledger_growth(folder, few=1_000, many=size.grown, commits=100 * size.repeats)]
        case _:
            return [
                await ledger_writes(folder, events=events, at_once=at_once, repeats=size.repeats)
                for events, at_once in ((size.events // 10, 1), (size.events, 100))
            ]


async def _on_the_stack(group: str, folder: Path, size: Size, stand: Regtest) -> list[Row]:
    match group:
        case "detection":
            return [await detection(stand, folder, watched=size.scripts, samples=size.samples)]
        case "electrum":
            return [
                await against_electrum(stand, folder, watched=size.scripts, samples=size.samples),
                await start_beside_electrum(
                    stand, folder / "start", watched=size.scripts, repeats=size.repeats
                ),
            ]
        case "starting":
            return await starting(stand, folder, sizes=_two(size.scripts), repeats=size.repeats)
        case "idle":
            return [await idle(stand, folder, watched=size.scripts, repeats=size.repeats)]
        case _:
            repeats = 2 * size.repeats
            return [await block(stand, folder, watched=size.scripts, touched=size.touched, repeats=repeats)]


def _two(scripts: int) -> tuple[int, int]:
    """Two sizes far enough apart that their difference is the addresses' and not the program's."""
    return (scripts, 5 * scripts) if scripts <= QUICK.scripts else (scripts // 10, scripts)


def _machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "sqlite": VERSION,
    }


def _compare(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench compare")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    told = parser.parse_args(words)
    try:
        found = compare(Result.read(told.old), Result.read(told.new))
    except (OSError, ValueError) as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 2
    print(found.text)
    return 1 if found.worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
