"""A walk: a random life of a small Bitcoin, looked at in every manner, and the laws that judge the ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.walks.eye import Eye, picture
from tests.walks.world import World, script
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Confirmed
from watcher.ledger import knowledge
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.types import Txid
    from watcher.core.events import Event

STEPS: Final = 200
# seeds of each file: in `make check`, in `make test`, and others in `make fuzz`
QUICK, USUAL, MANY = 6, 100, 5_000
BATCH: Final = 100
FALLEN: Final = {"tx.replaced", "tx.dropped", "tx.conflicted"}
TREASURIES = {
    "alpha": [script(f"alpha {i}") for i in range(3)],
    "beta": [script(f"beta {i}") for i in range(2)],
}


def check_sums(eye: Eye) -> None:
    """For every prefix of the log the plain sum of deltas is the balance it states."""
    sums = {name: [0, 0] for name in eye.world.treasuries}
    rows = eye.connection.execute("SELECT sequence, type, treasury, body FROM events ORDER BY sequence")
    for expected, row in enumerate(rows, 1):
        assert row["sequence"] == expected
        data = json.loads(row["body"])
        assert ("delta_sats" in data) == row["type"].startswith(("tx.", "watch."))
        if "delta_sats" not in data:
            continue
        total = sums[row["treasury"]]
        total[0] += data["delta_sats"]["confirmed"]
        total[1] += data["delta_sats"]["pending"]
        if data["balance_sats"] is not None:
            assert [data["balance_sats"]["confirmed"], data["balance_sats"]["pending"]] == total
    for name, total in sums.items():
        row = eye.connection.execute(
            "SELECT confirmed, pending FROM treasuries WHERE name = ?", (name,)
        ).fetchone()
        assert [row["confirmed"], row["pending"]] == total


def check_balances(eye: Eye) -> None:
    """What the log adds up to is what the scripts hold."""
    for name in eye.world.treasuries:
        row = eye.connection.execute(
            "SELECT confirmed, pending FROM treasuries WHERE name = ?", (name,)
        ).fetchone()
        assert (row["confirmed"], row["pending"]) == eye.world.balance(name)


def check_coinbases(eye: Eye) -> None:
    """No coinbase is in another's story: their inputs look alike, and are no coin to compete for."""
    rows = eye.connection.execute("SELECT txid, raw FROM transactions")
    coinbases = {row["txid"] for row in rows if parse_transaction(row["raw"]).is_coinbase}
    stories: dict[str | None, str] = {}
    for event in eye.events:
        if event.txid is not None and event.txid in coinbases:
            assert stories.setdefault(event.incident, event.txid) == event.txid
            assert "by" not in event.data


def check_families(eye: Eye) -> None:
    """What fell took its descendants along: nothing spends a coin of what another spend has undone."""
    orphans = eye.connection.execute(
        """SELECT 1 FROM entries child JOIN spends s ON s.tx = child.tx JOIN transactions t ON t.txid = s.txid
           JOIN entries parent ON parent.tx = t.id AND parent.treasury = child.treasury
           WHERE child.state IN ('held', 'missing') AND parent.state IN ('replaced', 'conflicted')"""
    ).fetchall()
    assert not orphans


def check_told(world: World, told: Sequence[Event]) -> None:
    """Each event is true at the moment it is told."""
    for event in told:
        block = event.data.get("block")
        where = [b for b in world.blocks if any(tx.txid == event.txid for tx in b.txs)]
        if event.type in {"tx.confirmed", "tx.moved", "tx.final"}:
            assert isinstance(block, dict)
            assert [block["hash"]] == [b.hash for b in where]
        elif event.type == "tx.unconfirmed":
            assert isinstance(block, dict)
            assert block["hash"] not in {b.hash for b in world.blocks}
        elif event.type == "tx.seen":
            assert event.txid in world.mempool
        elif event.type in {"tx.replaced", "tx.conflicted", "tx.dropped"}:
            assert not where
            assert event.txid not in world.mempool
        if event.type == "tx.replaced":
            assert event.data["by"] in world.mempool
        elif event.type == "tx.conflicted":
            assert any(tx.txid == event.data["by"] for b in world.blocks for tx in b.txs)


def check_present(eye: Eye) -> None:
    """After a look at everything the sums are the world's, but for what is missing and not yet given up."""
    for name in eye.world.treasuries:
        confirmed, pending = eye.connection.execute(
            """SELECT confirmed, pending - coalesce((SELECT sum(pending) FROM entries
                 WHERE treasury = name AND state = 'missing'), 0) FROM treasuries WHERE name = ?""",
            (name,),
        ).fetchone()
        assert (confirmed, pending) == eye.world.balance(name)


def check_stories(eye: Eye) -> None:
    """To whoever knows the log alone, a transaction that stands is not suddenly another flow.

    What left a list is another story when it is back.
    """
    told: dict[tuple[str | None, str], Event] = {}
    for event in eye.events:
        if event.type == "watch.removed":
            told = {key: last for key, last in told.items() if key[0] != event.treasury}
        if event.txid is None:
            continue
        last = told.get((event.treasury, event.txid))
        if last is not None and last.type not in FALLEN and event.type != "tx.reclassified":
            assert event.flow is last.flow, (last, event)
        told[event.treasury, event.txid] = event


def kept_back(eye: Eye) -> set[Txid]:
    """Some of what the ledger does not have, of scripts that are read for the first time."""
    unread = [each.scripthash for each in knowledge.watched(eye.connection) if not each.read]
    histories = picture(eye.world).histories
    past = {
        txid
        for script in unread
        for txid, sighting in histories.get(script, {}).items()
        if isinstance(sighting.position, Confirmed)
    }
    new = sorted(past - knowledge.kept(eye.connection, past).keys())
    return {txid for txid in new if eye.world.rng.random() < 0.3}


def look_hiding(eye: Eye) -> None:
    """A look at which whoever is asked keeps something back, and one at which nobody does."""
    eye.hidden = kept_back(eye)
    eye.look()
    eye.hidden = set()
    eye.look()
    check_present(eye)


def look_somehow(eye: Eye) -> None:
    """One of the manners in which news may arrive."""
    rng = eye.world.rng
    if eye.away:
        eye.away -= 1  # an outage
        return
    manner = rng.random()
    if manner < 0.3:
        eye.away = 10 if manner < 0.02 else 0
        return  # skipped: several things happen between two looks
    if rng.random() < 0.3:
        check_told(eye.world, eye.glimpse())
    some = {s for s in eye.scripts if rng.random() < 0.5}
    check_told(eye.world, eye.look(some if manner < 0.5 else None, chain_first=manner > 0.85))
    if manner >= 0.5:
        check_present(eye)
    if manner > 0.7:
        again = eye.look()  # seen twice, told once
        assert [e.type for e in again if e.type != "tx.dropped"] == []
    if manner > 0.95:
        eye.now_ms += 3_600_000


def check_baseline(eye: Eye) -> None:
    """A ledger that begins now arrives at the same balances."""
    fresh = Eye(eye.world, "fresh")
    fresh.look()
    check_balances(fresh)
    assert {e.type for e in fresh.events} == {"watch.baselined"}


def walk(seed: int, *, changing: bool, hiding: bool = False) -> None:
    """A random life, looked at by one watcher or by two with different downtimes.

    `hiding`: a first reading is not shown everything.
    """
    world = World(seed, TREASURIES)
    rng = world.rng
    for _ in range(30 if hiding else 0):
        world.step()
    eyes = [Eye(world, "one"), Eye(world, "two")][: 2 if seed % 4 == 0 else 1]
    for eye in eyes:
        look_hiding(eye) if hiding else eye.look()
    for step in range(STEPS):
        world.step()
        if changing and rng.random() < 0.08:
            world.relist()
            for eye in eyes:
                eye.list(world.treasuries)
                if hiding:
                    look_hiding(eye)
        for eye in eyes:
            look_somehow(eye)
            check_families(eye)
            if seed < QUICK and step % 20 == 0:  # in the midst of a life too; not in all: it takes its time
                assert verify(eye.connection).failures == []
    meanings: dict[str, tuple[object, ...]] = {}
    for eye in eyes:
        check_end(eye, meanings)
    check_baseline(eyes[0])


def check_end(eye: Eye, meanings: dict[str, tuple[object, ...]]) -> None:
    """Everything holds when nothing is waited for; `meanings`: equal ids say the same, whoever told them."""
    eye.settle()
    check_sums(eye)
    check_balances(eye)
    check_coinbases(eye)
    check_stories(eye)
    assert verify(eye.connection).failures == []
    for event in eye.events:
        meaning = (event.type, event.treasury, event.txid, event.flow, event.data.get("amount_sats"))
        if event.txid is not None:
            assert meanings.setdefault(event.id, meaning) == meaning
    assert len({e.id for e in eye.events}) == len(eye.events)
