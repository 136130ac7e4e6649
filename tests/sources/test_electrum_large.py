"""Large answers: read whole, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from tests.toy.bells import until
from tests.toy.coding import scripthash
from watcher.sources.base import Misbehaved, SourceError, TooBusy, Unavailable
from watcher.sources.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from tests.toy.electrum import ToyElectrum
    from watcher.sources.base import Histories
    from watcher.sources.electrum import ElectrumSource

HISTORY = "blockchain.scripthash.get_history"
US = scripthash(b"\x51")
LINES = 100_000


def large_history() -> bytes:
    lines = (
        b'{"tx_hash":"%s","height":%d}' % (sha256(b"%d" % at).hexdigest().encode(), 1 + at // 1_000)
        for at in range(LINES)
    )
    return b"[" + b", ".join(lines) + b"]"


async def asked_and_told(server: ToyElectrum, source: ElectrumSource, history: bytes) -> Histories:
    """One history question, answered with these bytes from a server that costs this process little."""
    server.last_ids.pop(HISTORY, None)
    server.stall()
    asked = asyncio.create_task(source.histories([US]))
    await until(lambda: HISTORY in server.last_ids)
    server.faults.stalled = False
    (client,) = server.clients
    await client.send_slowly(b'{"id":%d,"result":' % server.last_ids[HISTORY] + history + b"}\n")
    return await asked


async def longest_stall(until: asyncio.Event) -> float:
    """In this process's own CPU time: what other processes take is not our stall."""
    longest, last = 0.0, time.process_time()
    while not until.is_set():
        await asyncio.sleep(0.001)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return longest


@pytest.fixture
def own_heap() -> Iterator[None]:
    """The collector leaves alone what the test run has piled up: no daemon carries it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def test_a_history_of_ten_megabytes_does_not_hold_the_loop_up(
    own_heap: None, server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    history = large_history()
    assert len(history) > 9_000_000
    stalls = []
    async with connect(server.url, bells, limits=Limits(line=12_000_000)) as source:
        for _ in range(3):
            done = asyncio.Event()
            watching = asyncio.create_task(longest_stall(done))
            answer = (await asked_and_told(server, source, history)).histories[US]
            done.set()
            assert not isinstance(answer, SourceError)
            assert len(answer) == LINES
            stalls.append(await watching)
    # the machine's other work only ever adds
    assert min(stalls) < 0.05


async def test_a_line_without_an_end_costs_no_more_than_twice_its_bound(
    server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    (client,) = server.clients
    tracemalloc.start()
    try:
        with suppress(ConnectionError):  # it hangs up before the last of it
            for _ in range(135):
                await client.send_slowly(b"x" * 60_000)
                await asyncio.sleep(0)
        await bells.until(lambda: bells.count("disconnected") == 1)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(bells.ends[0], Misbehaved)
    assert bells.ends[0].reason == "line_too_long"
    assert peak < 16_000_000


@pytest.mark.parametrize("size", [250_000, 270_000])
async def test_answers_just_below_and_above_what_is_decoded_off_the_loop_are_the_same(
    server: ToyElectrum, source: ElectrumSource, size: int
) -> None:
    history = b"[" + b" " * size + b"]"
    assert (await asked_and_told(server, source, history)).histories[US] == ()


async def test_a_history_longer_than_a_line_may_be_is_found_out_and_unsupported_there(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    scripts = [scripthash(b"%d" % at) for at in range(4)]

    def swell(params: list[Any], honest: Any) -> Any:
        return [{"tx_hash": "ab" * 32, "height": 1}] * 1_000 if params == scripts[:1] else honest

    server.forge(HISTORY, swell)
    async with connect(server.url, bells, limits=Limits(line=50_000)) as source:
        with pytest.raises(Unavailable):  # nobody knows whose line it was
            await source.histories(scripts)
        await bells.until(lambda: bells.count("connected") == 2)
        with pytest.raises(Unavailable):  # asked for one by one: the first it was
            await source.histories(scripts)
        await bells.until(lambda: bells.count("connected") == 3)
        answer = await source.histories(scripts)
        assert isinstance(answer.histories[scripts[0]], TooBusy)
        assert [answer.histories[script] for script in scripts[1:]] == [()] * 3
        assert bells.count("disconnected") == 2
