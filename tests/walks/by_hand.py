"""The parts of a life that is written by hand: a small world, one eye, and what was told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.walks.eye import Eye
from tests.walks.world import World, build, script
from watcher.bitcoin.types import Outpoint
from watcher.core.rules_types import Rule, Severity, Topic

if TYPE_CHECKING:
    from watcher.bitcoin.transactions import Transaction
    from watcher.core.rules_types import Rung


OURS = [script(f"alpha {i}") for i in range(15)]
STRANGER = script("stranger 0")


def watched(*scripts: bytes) -> tuple[World, Eye]:
    """A world whose mempool is empty, and an eye that has read it."""
    world = World(5, {"alpha": list(scripts or OURS[:2])})
    eye = Eye(world, "one")
    eye.look()
    eye.events.clear()
    return world, eye


def obeying(eye: Eye, *at: Rung, min_sats: int = 0, dust_sats: int = 0) -> None:
    """From now on a rule speaks of inflows at these rungs."""
    rule = Rule(
        "inflows",
        (Topic.INFLOW,),
        ("*",),
        min_sats,
        at,
        Severity.WARNING,
        ("ops",),
        None,
        None,
        for_seconds=0,
    )
    policy = replace(eye.settings.policy, rules=(rule,), dust_sats={"alpha": dust_sats})
    eye.settings = replace(eye.settings, policy=policy)


def delivered(eye: Eye) -> list[tuple[str, dict[str, Any]]]:
    """The outbox: webhook ids with the data they carry."""
    rows = eye.connection.execute("SELECT webhook_id, body FROM deliveries ORDER BY id")
    return [(row["webhook_id"], json.loads(row["body"])["data"]) for row in rows]


def owned(world: World, eye: Eye, *scripts: bytes) -> list[tuple[Outpoint, int]]:
    """A confirmed coin on each of these scripts, whose coming is told and forgotten."""
    coins = []
    for ours in scripts:
        world.mine([])
        coin, sats = strange_coin(world)
        coins.append((Outpoint(send(world, [coin], (sats - 200, ours)).txid, 0), sats - 200))
    world.mine(list(world.mempool.values()))
    eye.look()
    eye.events.clear()
    return coins


def listed(value: object) -> list[dict[str, Any]]:
    assert isinstance(value, list)
    return value


def amounts(movements: object) -> list[int]:
    """The largest first."""
    return [movement["amount_sats"] for movement in listed(movements)]


def send(world: World, coins: list[Outpoint], *paid: tuple[int, bytes]) -> Transaction:
    world.nonce += 1
    tx = build(coins, list(paid), world.nonce)
    world.mempool[tx.txid] = tx
    return tx


def strange_coin(world: World) -> tuple[Outpoint, int]:
    coins = world.coins(mempool=True).items()
    outpoint, (sats, _) = next((o, c) for o, c in coins if c[1] in world.strangers)
    return outpoint, sats


def told(eye: Eye) -> list[tuple[str, str | None]]:
    return [(event.type, event.txid) for event in eye.events]
