"""A connection from its beginning to its end, and again: what breaks it and what is noticed when."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.toy.bells import until
from tests.toy.coding import scripthash
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.networks import Network
from watcher.sources.backoff import Backoff
from watcher.sources.base import Misbehaved, Unavailable, WrongNetwork
from watcher.sources.dial import parse_url
from watcher.sources.health import Outcome
from watcher.sources.limits import Limits

if TYPE_CHECKING:
    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain
    from watcher.sources.electrum import ElectrumSource

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)


async def test_the_first_word_is_the_version_and_the_second_the_genesis_block(
    server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    assert list(server.counts)[:2] == ["server.version", "blockchain.block.headers"]
    health = source.health()
    assert (health.up, health.protocol, health.software) == (True, "1.6", "ToyElectrum 1.0")
    assert health.connected_since is not None
    assert health.tip == server.chain.tip
    assert bells.log == ["connected"]
    assert bells.sources == {"toy"}


async def test_a_server_of_another_network_is_left_out_loudly(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, network=Network.SIGNET, up=False) as source:
        await bells.until(lambda: bells.count("disconnected") == 2)
        assert all(isinstance(why, WrongNetwork) for why in bells.ends)
        health = source.health()
        assert (health.up, health.last_reason) == (False, "wrong_network")
        assert bells.count("connected") == 0
        with pytest.raises(Unavailable):
            await source.tip()


@pytest.mark.parametrize("chosen", [["Toy", "1.7"], ["Toy", 1.4], ["Toy"], None, ["Toy\n\x1b[2J", "0.9"]])
async def test_a_server_of_another_protocol_is_left_out(
    server: ToyElectrum, bells: Bells, connect: Connect, chosen: Any
) -> None:
    server.forge("server.version", lambda _params, _honest: chosen)
    async with connect(server.url, bells, up=False) as source:
        await bells.until(lambda: bells.count("disconnected") == 1)
        assert not source.health().up


async def test_nobody_there_is_unavailable_at_once_and_tried_again(
    chain: ToyChain, bells: Bells, connect: Connect
) -> None:
    async with ToyElectrum(chain) as server:
        await server.stop()
        async with connect(server.url, bells, up=False) as source:
            await bells.until(lambda: bells.count("disconnected") == 2)
            with pytest.raises(Unavailable):
                await source.watch([US])
            await server.start()
            await bells.until(lambda: bells.count("connected") == 1)
            assert (await source.tip()).block == chain.tip
            assert source.health().last_reason == "unavailable"


async def test_after_a_break_headers_are_subscribed_again_and_scripts_may_be(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    before = await source.watch([US])
    server.disconnect_all()
    await bells.until(lambda: bells.log[-2:] == ["disconnected", "connected"])
    assert source.health().subscriptions == 0
    chain.mine()
    await bells.until(lambda: bells.count("tip") == 1)
    chain.pay(OURS, 10_000)
    assert bells.scripts == []
    after = await source.watch([US])
    assert after[US] is not None
    assert after != before


async def test_questions_under_way_fail_at_once_when_the_connection_breaks(
    server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    server.stall()
    asked = [asyncio.create_task(source.histories([US])) for _ in range(5)]
    await until(lambda: server.counts["blockchain.scripthash.get_history"] == 5)
    server.faults.stalled = False
    server.disconnect_all()
    async with asyncio.timeout(Limits().answer / 2):
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert all(type(result) is Unavailable for result in results)
    await bells.until(lambda: bells.count("connected") == 2)


async def test_a_half_open_connection_is_noticed_and_made_anew(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, limits=Limits(ping=0.3, silence=1.0)):
        server.half_open()
        await bells.until(lambda: bells.count("disconnected") > 0)
        assert "silent" in str(bells.ends[0])
        server.hear()
        await bells.until(lambda: bells.count("connected") > 1)


def test_half_open_is_noticed_within_thirty_seconds() -> None:
    limits = Limits()
    assert limits.silence + limits.ping / 4 <= 30
    assert limits.ping + limits.ping / 4 < limits.silence


async def test_a_quiet_server_is_pinged_and_kept(server: ToyElectrum, bells: Bells, connect: Connect) -> None:
    limits = Limits(ping=0.3, silence=4.0)
    async with connect(server.url, bells, limits=limits):
        # longer than it may be silent
        await until(lambda: server.counts["server.ping"] > limits.silence / limits.ping)
        assert bells.log == ["connected"]


async def test_a_server_that_talks_and_does_not_answer_is_left(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    # no ping is due before that: the question alone finds it out
    async with connect(server.url, bells, limits=Limits(answer=3.0)) as source:
        server.stall()
        chatter = asyncio.create_task(_chatter(server))
        with pytest.raises(Unavailable, match="within 3 s"):
            await source.tip()
        await bells.until(lambda: bells.count("disconnected") > 0)
        chatter.cancel()
        assert source.health().requests[Outcome.TIMEOUT] >= 1


async def _chatter(server: ToyElectrum) -> None:
    while True:
        server.garbage(b"\n")
        await asyncio.sleep(0.05)


async def test_a_message_that_drips_is_cut_off_as_a_whole(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells, limits=Limits(answer=2.0, ping=2.0, silence=60.0)):
        dripping = asyncio.create_task(_drip(server))
        await bells.until(lambda: bells.count("disconnected") > 0)
        dripping.cancel()
        assert "one message" in str(bells.ends[0])


async def _drip(server: ToyElectrum) -> None:
    while True:
        server.garbage(b" ")
        await asyncio.sleep(0.02)


async def test_an_answer_that_comes_too_late_is_ignored(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells) as source:
        server.faults.stalled = True
        late = asyncio.create_task(source.tip())
        await until(lambda: server.counts["blockchain.headers.subscribe"] == 2)
        late.cancel()
        await asyncio.wait([late])
        server.faults.stalled = False
        for method in ("blockchain.headers.subscribe", "blockchain.block.headers"):
            server.garbage(b'{"id":%d,"result":null}\n' % server.last_ids[method])
        assert (await source.tip()).block == server.chain.tip
        assert bells.log == ["connected"]


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"\xff\xfe\x00\n", "protocol"),
        (b'{"id":0,"result":NaN}\n', "protocol"),
        (b'{"id":"0","result":1}\n', "protocol"),
        (b'{"id":0.0,"result":1}\n', "protocol"),
        (b'{"id":0,"result":1,"error":{"code":1}}\n', "protocol"),
        (b"[" * 100_000 + b"\n", "protocol"),
        (b'{"id":0,"result":["Toy","1.4"]}\n', "double_answer"),
        (b'{"id":999999,"result":1}\n', "unknown_id"),
        (b'{"id":-1,"result":1}\n', "unknown_id"),
        (b'{"id":99999999999999999999999,"result":1}\n', "unknown_id"),
        (b'{"method":"blockchain.scripthash.subscribe","params":["ab",null]}\n', "unsolicited"),
        (b'{"method":"server.shout","params":[]}\n', "unsolicited"),
        (b'{"method":"blockchain.scripthash.subscribe","params":["ab"]}\n', "notification"),
        (b'{"method":"blockchain.headers.subscribe","params":[{"height":5,"hex":"00"}]}\n', "header"),
        (b"x" * 8_100_000, "line_too_long"),
    ],
    ids=lambda value: (
        value[:40].decode("latin-1").encode("unicode_escape").decode() if isinstance(value, bytes) else value
    ),
)
async def test_garbage_ends_the_connection_with_its_reason_and_the_source_comes_back(
    server: ToyElectrum, source: ElectrumSource, bells: Bells, garbage: bytes, reason: str
) -> None:
    server.garbage(garbage)
    await bells.until(lambda: bells.count("disconnected") == 1)
    assert isinstance(bells.ends[0], Misbehaved)
    assert bells.ends[0].reason == reason
    assert source.health().last_error is not None
    await bells.until(lambda: bells.count("connected") == 2)
    assert (await source.tip()).block == server.chain.tip


async def test_an_error_without_an_id_ends_the_connection_without_blame(
    server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    server.garbage(b'{"id":null,"error":{"code":-101,"message":"excessive resource usage"}}\n')
    await bells.until(lambda: bells.count("disconnected") == 1)
    assert type(bells.ends[0]) is Unavailable


async def test_a_burst_of_notifications_is_only_so_many_bells_and_then_the_end_without_blame(
    server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    await source.watch([US])
    bell = json.dumps({"method": "blockchain.scripthash.subscribe", "params": [US, None]}).encode() + b"\n"
    server.garbage(bell * 200_000)
    await bells.until(lambda: bells.count("disconnected") == 1)
    assert type(bells.ends[0]) is Unavailable
    assert len(bells.scripts) == 10_000


async def test_swallowed_notifications_are_made_up_for_by_asking_again(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource, bells: Bells
) -> None:
    server.swallow_notifications()
    before = await source.watch([US])
    chain.pay(OURS, 10_000)
    after = await source.watch([US])
    assert bells.scripts == []
    assert after[US] != before[US]


async def test_a_frozen_server_shows_its_own_old_tip(
    chain: ToyChain, server: ToyElectrum, source: ElectrumSource
) -> None:
    server.freeze_tip()
    old = chain.tip
    chain.mine(3)
    assert (await source.tip()).block == old


async def test_questions_are_counted_by_how_they_ended(server: ToyElectrum, source: ElectrumSource) -> None:
    before = source.health()
    await source.tip()
    server.error_next("blockchain.headers.subscribe", 1, "still catching up with daemon")
    with pytest.raises(Unavailable):
        await source.tip()
    after = source.health()
    assert after.requests[Outcome.OK] - before.requests[Outcome.OK] == 1
    assert after.requests[Outcome.ERROR] - before.requests[Outcome.ERROR] == 1
    assert after.latency_counts[-1] == sum(after.requests.values())
    assert after.latency_seconds > 0
    assert after.last_success is not None


async def test_cancelling_the_source_closes_its_socket(
    server: ToyElectrum, bells: Bells, connect: Connect
) -> None:
    async with connect(server.url, bells):
        assert len(server.clients) == 1
    await until(lambda: not server.clients)


def test_retries_are_spread_never_faster_than_one_a_second_and_never_slower_than_five_minutes() -> None:
    backoff = Backoff()
    lowest = [backoff.delay(failures, lambda: 0.0) for failures in range(1, 2_000)]
    highest = [backoff.delay(failures, lambda: 1.0) for failures in range(1, 2_000)]
    assert set(lowest) == {1.0}
    assert highest[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(highest) == 300.0


@pytest.mark.parametrize(
    "url",
    [
        "http://a:1",
        "tcp://a",
        "tcp://:1",
        "a:1",
        "ssl://a:99999",
        "tcp://u:p@a:1",
        "tcp://a:1/x",
        "tcp://a:1?q",
    ],
)
def test_a_url_is_a_scheme_a_host_and_a_port(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_url(url)
