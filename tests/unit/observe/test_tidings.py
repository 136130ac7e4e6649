"""What the log is told of sources: each change once, flapping as one line, and how it ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.stack.processes import until
from watcher.observe.tidings import RECOVERIES, Tidings
from watcher.sources.base import Misbehaved, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED, FALSE = Unavailable("nobody listens"), Misbehaved("history", "a false answer")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The lines so far, up to a colon."""
    caplog.set_level(logging.INFO, "watcher.observe.tidings")
    return lambda: [record.getMessage().partition(":")[0] for record in caplog.records]


async def test_a_failure_is_said_once_for_each_reason_and_its_end_once(said: Callable[[], list[str]]) -> None:
    tidings = Tidings()
    tidings.connected("home")  # for the first time: no news
    for why in (REFUSED, REFUSED, FALSE, FALSE):
        tidings.failed("home", why)
    tidings.connected("home")
    tidings.connected("home")
    assert said() == ["source failed", "source failed", "source recovered"]


@pytest.mark.parametrize("stays_up", [True, False], ids=["it stays", "it stays away"])
async def test_what_flaps_is_one_line_and_another_when_it_stays_as_it_is(
    said: Callable[[], list[str]], *, stays_up: bool
) -> None:
    tidings = Tidings(within=3.0)
    for _ in range(RECOVERIES + 4):
        tidings.failed("home", REFUSED)
        tidings.connected("home")
    before = said()
    assert before == ["source failed", "source recovered"] * RECOVERIES + [
        "source failed",
        "source comes and goes",
    ]
    if not stays_up:
        tidings.failed("home", REFUSED)
        tidings.failed("home", REFUSED)

    async def more_is_said() -> bool:
        return len(said()) > len(before)

    await until(more_is_said, within=60, what="a line when it rests")
    assert said()[len(before) :] == ["source recovered" if stays_up else "source failed"]
    tidings.failed("away", REFUSED)
    assert said()[-1] == "source failed"  # each source for itself
