"""Every parser that meets the network, on frames that are right, nearly right and wrong: no crash, no fact.

Coverage-guided runs are `python -m tests.hostile.guided`.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hostile.mutants import Mutants
from tests.hostile.parsers import PARSERS
from tests.stack.processes import Child

if TYPE_CHECKING:
    from tests.hostile.parsers import Parser

EACH = pytest.mark.parametrize("name", PARSERS)
SOME = 10_000
MANY = 1_000_000
SEARCH_SECONDS = 10


def fed(parser: Parser, name: str, frames: int) -> tuple[int, int]:
    """How many of so many frames it read, and how many it refused; anything else fails with the frame."""
    mutants = Mutants(parser.seeds, random.Random(zlib.crc32(name.encode())), binary=parser.binary)
    read, refusals = parser.read, parser.refusals
    refused = 0
    frame: bytes | None = None
    try:
        for _ in range(frames):
            frame = next(mutants)
            try:
                read(frame)
            except refusals:
                refused += 1
        frame = None
    finally:
        if frame is not None:
            print(f"{name} broke on {frame!r}")
    return frames - refused, refused


@EACH
def test_right_frames_are_read(name: str) -> None:
    for seed in PARSERS[name].seeds:
        PARSERS[name].read(seed)


@EACH
def test_ten_thousand_frames_are_read_or_refused(name: str) -> None:
    accepted, refused = fed(PARSERS[name], name, SOME)
    assert accepted > 0  # mutants that are all refused at the door test the door alone
    assert refused > 0 or not PARSERS[name].refusals


@pytest.mark.fuzz
@EACH
def test_a_million_frames_are_read_or_refused(name: str) -> None:
    began = time.perf_counter()
    accepted, refused = fed(PARSERS[name], name, MANY)
    took = time.perf_counter() - began
    print(f"{name}: {accepted} read, {refused} refused, {took:.0f} s")


@pytest.mark.fuzz
@EACH
async def test_a_search_for_new_code_finds_no_frame_that_breaks_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="no coverage-guided runs on this Python")
    child = Child(
        [sys.executable, "-m", "tests.hostile.guided", name, str(SEARCH_SECONDS)],
        log=tmp_path / "guided.log",
        cwd=Path(__file__).parents[2],
    )
    child.start()
    assert await child.ended(within=SEARCH_SECONDS + 300) == 0, child.tail()
