"""The demo's last words: what happened, and whether all that should agree agrees."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tests.stack.processes import until
from tests.stack.told import btc

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.stack.player import Stage
    from tests.stack.told import Screen

_SETTLE_SECONDS: Final = 20.0


async def tell(show: Screen, daemon: Daemon, stage: Stage) -> bool:
    """Say it, and end the daemon in order; whether everything agreed."""
    show.say()
    events = await _settled(daemon, stage)
    kinds = Counter(event["type"] for event in events)
    show.say(f"{len(events)} events: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
    agreed = [_deliveries(show, events, stage)]
    agreed += [await _balance(show, daemon, stage, name) for name in stage.treasuries]
    code = await daemon.terminate()
    show.say(f"daemon ended with {code}")
    verified = await daemon.command("verify")
    show.say(f"verify ended with {verified.code}: {verified.out.partition(chr(10))[0]}")
    for line in verified.err.splitlines():
        show.say(line)
    return all(agreed) and code == 0 and verified.code == 0


async def _settled(daemon: Daemon, stage: Stage) -> list[dict[str, Any]]:
    """The log, once the daemon has the node's tip and balances and all of it is told, or after a while."""
    events: list[dict[str, Any]] = []

    async def quiet() -> bool:
        nonlocal events
        agree = await daemon.metric("watcher_tip_height") == (await stage.chain.tip())[0]
        for name, addresses in stage.treasuries.items():
            agree &= await _seen(daemon, name) == await stage.chain.utxo_total(addresses.values())
        events = await daemon.events()
        return agree and not _missing(events, stage)

    with suppress(TimeoutError):  # what does not agree is told line by line
        await until(quiet, within=_SETTLE_SECONDS, what="agreement")
    return events


def _missing(events: list[dict[str, Any]], stage: Stage) -> set[str]:
    """The ids of the log that no verified webhook had."""
    return {event["data"]["id"] for event in events} - {one.id for one in stage.receiver.verified}


def _deliveries(show: Screen, events: list[dict[str, Any]], stage: Stage) -> bool:
    receiver = stage.receiver
    missing = _missing(events, stage)
    refused = len(receiver.received) - len(receiver.verified)
    show.say(f"{len(receiver.verified)} webhooks verified, {refused} refused, {len(missing)} missing")
    return not refused and not missing


async def _balance(show: Screen, daemon: Daemon, stage: Stage, name: str) -> bool:
    ours, nodes = await _seen(daemon, name), await stage.chain.utxo_total(stage.treasuries[name].values())
    said = "the same" if ours == nodes else f"{btc(nodes)} BTC"
    held = "no balance" if ours is None else f"{btc(ours)} BTC"
    show.say(f"{name} holds {held}; bitcoind's scantxoutset says {said}")
    return ours == nodes


async def _seen(daemon: Daemon, name: str) -> int | None:
    balance = await daemon.metric("watcher_treasury_balance_satoshis", treasury=name, position="confirmed")
    return None if balance is None else int(balance)
