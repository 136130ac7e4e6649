"""What an Electrum server is asked within its cost limits and a budget: simulated, and on a socket."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.toy.bells import running
from tests.toy.coding import scripthash
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import ScriptHash, Txid
from watcher.sources import costs, wire
from watcher.sources.base import Unavailable
from watcher.sources.electrum import ElectrumSource
from watcher.sources.purse import Purse

if TYPE_CHECKING:
    from tests.toy.bells import Bells
    from tests.toy.electrum import ToyElectrum

SOFT = 1_000


class Server:
    """What a session owes by ElectrumX's own sums, on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cost = 0.0
        self.most = 0.0
        self.subscriptions = 0

    def clock(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.cost = max(0.0, self.cost - seconds * 10_000 / (10_000 + 5 * self.subscriptions))
        self.now += seconds

    def asked(self, questions: int, each: float) -> None:
        self.cost += questions * each
        self.most = max(self.most, self.cost)


def subscribed(server: Server, purse: Purse, scripts: int) -> float:
    """Subscribe to so many as the purse allows; the seconds it took."""
    began, left = server.now, scripts
    purse.at_leisure = True
    while left:
        purse.at_leisure = False
        purse.pay([wire.TIP] * 2)  # as every turn does: the tip, and its header
        purse.heard(4_000)
        server.asked(2, 0.9)
        purse.at_leisure = True
        some = purse.scripts(left)
        if some == 0:
            server.passes(purse.seconds_until_scripts(left))
            continue
        server.subscriptions += some
        purse.subscribed(server.subscriptions)
        server.passes(purse.pay([wire.ask_watch(ScriptHash("00" * 32))] * some))
        purse.heard(100 * some)
        server.asked(some, costs.RESUBSCRIPTION)
        left -= some
    return server.now - began


@pytest.mark.parametrize("scripts", [1_000, 2_000])
def test_what_has_room_is_asked_for_at_once(scripts: int) -> None:
    server = Server()
    purse = Purse((), charges=True, clock=server.clock)
    assert subscribed(server, purse, scripts) == 0


@pytest.mark.parametrize("scripts", [5_000, 20_000, 50_000])
def test_a_long_list_is_never_throttled_and_is_asked_for_within_its_bound(scripts: int) -> None:
    server = Server()
    purse = Purse((), charges=True, clock=server.clock)
    took = subscribed(server, purse, scripts)
    assert server.most < SOFT
    assert took < costs.sweep_seconds(scripts)


def test_a_long_reading_is_never_throttled_and_what_rings_meanwhile_waits_for_nothing() -> None:
    server = Server()
    purse = Purse((), charges=True, clock=server.clock)
    many = [wire.ask_transaction(Txid("00" * 32))] * 50
    for _ in range(100):
        purse.at_leisure = True
        server.passes(purse.pay(many))
        purse.at_leisure = False
        server.asked(len(many), costs.price(wire.TRANSACTION_METHOD))
        assert purse.pay([wire.ask_history(ScriptHash("00" * 32)), wire.TIP]) == 0
        server.asked(2, 0.5)
    assert server.most < SOFT


@pytest.mark.parametrize("scripts", [4, 200, 500])
def test_a_turn_of_the_rereading_is_not_put_off_by_what_else_is_owed(scripts: int) -> None:
    server = Server()
    purse = Purse((), charges=True, clock=server.clock)
    purse.subscribed(scripts)
    for _ in range(12):  # a reorganisation: what is asked for is gone
        purse.refused()
    assert purse.scripts(scripts) == scripts
    assert purse.pay([wire.ask_watch(ScriptHash("00" * 32))] * scripts) == 0
    purse.at_leisure = True
    assert purse.scripts(5_000) == 0  # a long list on a new connection waits
    assert purse.scripts(200) == 200  # a short one does not
    assert purse.pay([wire.ask_watch(ScriptHash("00" * 32))] * 200) == 0


def test_an_unlimited_server_is_asked_for_everything_at_once() -> None:
    server = Server()
    purse = Purse((), charges=False, clock=server.clock)
    assert purse.scripts(100_000) == 100_000
    assert purse.pay([wire.TIP] * 100_000) == 0


def test_several_budgets_hold_at_once() -> None:
    server = Server()
    purse = Purse(((20, 1.0), (200, 60.0)), charges=False, clock=server.clock)
    sent: list[float] = []
    for _ in range(600):
        server.passes(purse.pay([wire.TIP]))
        sent.append(server.now)
    for requests, seconds in ((20, 1.0), (200, 60.0)):
        assert all(
            later - earlier >= seconds - 1e-6 for earlier, later in zip(sent, sent[requests:], strict=False)
        )


@pytest.mark.parametrize("budget", [(700, 3_600.0), (10, 1.0), (60, 60.0)])
def test_a_list_is_asked_for_within_the_bound_that_a_budget_gives(budget: tuple[int, float]) -> None:
    server = Server()
    purse = Purse((budget,), charges=False, clock=server.clock)
    left = 1_000
    while left:
        purse.ping(wire.TIP)  # each round begins with the tip
        some = purse.scripts(left)
        if some:
            server.passes(purse.pay([wire.ask_watch(ScriptHash("00" * 32))] * some))
        left -= some
        server.passes(purse.seconds_until_scripts(left))
    source = ElectrumSource(
        "toy", "tcp://127.0.0.1:1", Network.REGTEST, clock=time.time, draw=lambda: 0.5, budget=(budget,)
    )
    assert server.now < source.sweep_seconds(1_000)


def test_a_refusal_is_dear_and_is_counted() -> None:
    server = Server()
    purse = Purse((), charges=True, clock=server.clock)
    for _ in range(4):
        purse.refused()
    purse.at_leisure = True
    assert purse.scripts(1_000) == (costs.SWEEPING - 4 * costs.REFUSAL) // costs.RESUBSCRIPTION


async def test_a_budget_is_kept_on_the_wire_and_the_rest_is_told_when(
    server: ToyElectrum, bells: Bells
) -> None:
    source = ElectrumSource(
        "toy", server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, budget=((80, 3_600.0),)
    )
    async with running(source, bells, up=True):
        scripts = [scripthash(b"\x51" + bytes([n])) for n in range(50)]
        statuses = await source.watch(scripts)
        late = [status for status in statuses.values() if isinstance(status, Unavailable)]
        assert 0 < len(late) < len(scripts)
        assert all(status.retry_after for status in late)
        assert source.sweep_seconds(50) >= 50 * 3_600 / 80
        assert server.counts.total() <= 80 // 4  # a quarter may go out together


async def test_a_reading_at_leisure_waits_no_more_once_a_script_has_rung(
    bells: Bells, server: ToyElectrum
) -> None:
    source = ElectrumSource(
        "toy", server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, charges=True
    )
    script = b"\x53" + bytes(20)
    async with running(source, bells, up=True):
        await source.watch([scripthash(script)])
        nowhere = [Txid(bytes([n] * 32).hex()) for n in range(20)]
        await source.transactions(nowhere)  # twenty refusals are far more than leisure may owe
        with source.at_leisure():
            reading = asyncio.create_task(source.transactions(nowhere[:1]))
            done, _ = await asyncio.wait([reading], timeout=2)
            assert not done  # a thousand seconds, by the server's own sums
            server.chain.pay(script, 50_000)
            await asyncio.wait_for(reading, 120)


async def test_a_debt_outlives_its_connection(bells: Bells, server: ToyElectrum) -> None:
    source = ElectrumSource(
        "toy", server.url, Network.REGTEST, clock=time.time, draw=lambda: 0.5, charges=True
    )
    scripts = [scripthash(b"\x52" + n.to_bytes(2, "big")) for n in range(3_000)]
    async with running(source, bells, up=True):
        with source.at_leisure():
            first = await source.watch(scripts)
        assert 1_500 < sum(status is None for status in first.values()) < 2_500
        server.disconnect_all()
        source.hurry()
        await bells.until(lambda: bells.count("connected") > 1)
        with source.at_leisure():
            again = await source.watch(scripts)
        assert all(isinstance(status, Unavailable) for status in again.values())
