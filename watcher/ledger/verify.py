"""Re-proves the ledger from its own bytes: every transaction, every header, every sum.

What it cannot prove it says (`LIMITS`): that nothing is missing, and whose the scripts are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from watcher.bitcoin.headers import header_hash, parse_header
from watcher.bitcoin.merkle import Tree
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Malformed
from watcher.core.identity import log_event_id
from watcher.ledger.logs import written_in
from watcher.ledger.sums import ADDED_UP

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

    from watcher.bitcoin.headers import Header

LIMITS: Final = (
    "That every transaction of these scripts is recorded: histories are complete by their sources' word.",
    "That an unconfirmed transaction was ever broadcast: its bytes are held to its txid, and to no block.",
    "Who holds the keys of a script: the label beside an address is what its publisher said.",
    "What lies below a checkpoint of the package: headers are linked up to it, and it is believed.",
)


@dataclass(slots=True)
class Verification:
    """What held and, one sentence each, what did not; `unproven` are unconfirmed or wait for their branch.

    Neither is a failure.
    """

    proven: int = 0
    unproven: int = 0
    headers: int = 0
    events: int = 0
    failures: list[str] = field(default_factory=list)


def verify(connection: sqlite3.Connection, *, fail_fast: bool = False) -> Verification:
    """Check everything; with `fail_fast` only up to the first failure."""
    result = Verification()
    for part in (_headers, _transactions, _amounts, _log, _totals):
        for failure in part(connection, result):
            result.failures.append(failure)
            if fail_fast:
                return result
    return result


def _headers(connection: sqlite3.Connection, result: Verification) -> Iterator[str]:
    """Each header links to the one before it, where that is held."""
    before: tuple[int, bytes] | None = None
    for row in connection.execute("SELECT height, raw FROM headers ORDER BY height"):
        result.headers += 1
        follows = before is not None and before[0] == row["height"] - 1
        if before and follows and parse_header(row["raw"]).previous != header_hash(before[1]):
            yield f"header {row['height']} does not link to the one before it"
        before = (row["height"], row["raw"])


def _transactions(connection: sqlite3.Connection, result: Verification) -> Iterator[str]:
    """Each transaction's bytes hash to its txid, and each confirmed one's branch folds to its header."""
    rows = connection.execute(
        """SELECT t.*, h.raw AS header FROM transactions t
           LEFT JOIN headers h ON h.height = t.block_height ORDER BY t.id"""
    )
    # transactions of one block mostly came together, and their branches have most nodes in common
    block_of = lru_cache(maxsize=1)(_block)
    for row in rows:
        failure = _transaction(row, block_of)
        if failure is not None:
            yield f"transaction {row['txid']}: {failure}"
        elif row["block_height"] is None or row["displaced_by"] is not None or row["trust"] != "proven":
            result.unproven += 1
        else:
            result.proven += 1


def _block(raw: bytes) -> tuple[Header, Tree]:
    header = parse_header(raw)
    return header, Tree(header.merkle_root)


def _transaction(row: sqlite3.Row, block_of: Callable[[bytes], tuple[Header, Tree]]) -> str | None:
    try:
        tx = parse_transaction(row["raw"])
        if tx.txid != row["txid"]:
            return "its bytes hash to another txid"
        if row["block_height"] is None or row["displaced_by"] is not None:
            return None
        if row["header"] is None:
            return f"no header at its height {row['block_height']}"
        header, tree = block_of(row["header"])
        if header.hash != row["block_hash"]:
            return f"the block at {row['block_height']} is another one"
        if row["trust"] == "proven":  # else its branch is still to come
            branch = row["branch"]
            siblings = [branch[i : i + 32][::-1].hex() for i in range(0, len(branch), 32)]
            tree.check(tx, row["block_index"], siblings)
    except Malformed as error:
        return str(error)
    return None


def _amounts(connection: sqlite3.Connection, _result: Verification) -> Iterator[str]:
    """What each transaction does to each script is what its bytes say."""
    scripts = {
        row["script_pubkey"]: row["id"]
        for row in connection.execute(
            """SELECT s.id, s.script_pubkey FROM scripts s
               JOIN watches w ON w.script = s.id AND w.removed_ms IS NULL AND w.baselined = 1"""
        )
    }
    nets, standing = _nets(connection, scripts)
    watched = set(scripts.values())
    for row in connection.execute("SELECT o.*, t.txid FROM touches o JOIN transactions t ON t.id = o.tx"):
        if row["script"] not in watched:
            continue
        net = nets.pop((row["script"], row["tx"]), 0 if row["tx"] in standing else None)
        if net is not None and net != row["received"] - row["spent"]:
            yield f"transaction {row['txid']}: its amount on script {row['script']} is not what its bytes say"
    for script, spender in nets:
        yield f"transaction row {spender}: what it does to script {script} is not recorded"


def _nets(
    connection: sqlite3.Connection, scripts: Mapping[bytes, int]
) -> tuple[dict[tuple[int, int], int], set[int]]:
    """By (script, transaction) what the bytes of all that stands add and take.

    A coin may be of one that has fallen, such as an orphaned coinbase, while its spend is still missing; of
    a script added later it was never recorded.
    """
    recorded = {
        (row["txid"], row["vout"])
        for row in connection.execute(
            "SELECT txid, vout FROM coins JOIN transactions USING (txid) WHERE block_height IS NULL"
        )
    }
    nets: dict[tuple[int, int], int] = {}
    standing: set[int] = set()
    coins: dict[tuple[str, int], tuple[int, int]] = {}
    spends: list[tuple[int, str, int]] = []
    for row in connection.execute(
        """SELECT id, raw, block_height IS NOT NULL OR EXISTS (
             SELECT 1 FROM entries e WHERE e.tx = t.id AND e.state IN ('held', 'missing')) AS stands
           FROM transactions t"""
    ):
        tx = parse_transaction(row["raw"])
        for vout, output in enumerate(tx.outputs):
            script = scripts.get(output.script_pubkey)
            if script is not None and (row["stands"] or (tx.txid, vout) in recorded):
                coins[tx.txid, vout] = (script, output.sats)
                if row["stands"]:
                    nets[script, row["id"]] = nets.get((script, row["id"]), 0) + output.sats
        if row["stands"]:
            standing.add(row["id"])
            spends += [(row["id"], i.outpoint.txid, i.outpoint.vout) for i in tx.inputs]
    for spender, txid, vout in spends:
        coin = coins.get((txid, vout))
        if coin is not None:
            nets[coin[0], spender] = nets.get((coin[0], spender), 0) - coin[1]
    return nets, standing


def _log(connection: sqlite3.Connection, result: Verification) -> Iterator[str]:
    """The log has no gap, and for each prefix the sum of the deltas is the balance it states."""
    log_of = written_in(connection)
    sums: dict[str, tuple[int, int]] = {}
    for expected, row in enumerate(connection.execute("SELECT * FROM events ORDER BY sequence"), 1):
        result.events += 1
        if row["sequence"] != expected:
            yield f"the log has a gap before event {row['sequence']}"
            return
        data = json.loads(row["body"])
        log = log_of(expected)
        if data["log"] != log:
            yield f"event {expected}: it names another log than {log}, in which it was written"
        if data["id"] != row["id"] or (row["txid"] is None and row["id"] != log_event_id(log, expected)):
            yield f"event {expected}: its id is not its own"
        if "delta_sats" not in data:
            continue
        old = sums.get(row["treasury"], (0, 0))
        delta, stated = data["delta_sats"], data["balance_sats"]
        new = (old[0] + delta["confirmed"], old[1] + delta["pending"])
        sums[row["treasury"]] = new
        if stated is not None and (stated["confirmed"], stated["pending"]) != new:
            yield f"event {expected}: the deltas add up to {new}, and it states another balance"
    for row in connection.execute("SELECT name, confirmed, pending FROM treasuries"):
        if (row["confirmed"], row["pending"]) != sums.get(row["name"], (0, 0)):
            yield f"treasury {row['name']}: its balance is not the sum of its events"


def _totals(connection: sqlite3.Connection, _result: Verification) -> Iterator[str]:
    """Each book adds up to its treasury's balance and its kept sums, each entry to what its scripts moved."""
    for row in connection.execute(
        """SELECT t.name, t.confirmed, t.pending, coalesce(sum(e.confirmed), 0) AS c,
             coalesce(sum(e.pending), 0) AS p
           FROM treasuries t LEFT JOIN entries e ON e.treasury = t.name GROUP BY t.name"""
    ):
        if (row["confirmed"], row["pending"]) != (row["c"], row["p"]):
            yield f"treasury {row['name']}: its entries do not add up to its balance"
    for row in connection.execute(
        f"""SELECT treasury, span FROM (
             SELECT treasury, span, flow, transactions, proven, amount, moved FROM sums UNION ALL
             SELECT treasury, span, flow, -transactions, -proven, -amount, -moved FROM ({ADDED_UP}))
           GROUP BY treasury, span, flow
           HAVING sum(transactions) <> 0 OR sum(proven) <> 0 OR sum(amount) <> 0 OR sum(moved) <> 0"""  # noqa: S608 - a constant of ours
    ):
        yield f"treasury {row['treasury']}: span {row['span']} of its book is not what the kept sum says"
    for row in connection.execute(
        """SELECT e.treasury, x.txid, e.amount, coalesce(sum(o.received - o.spent), 0) AS now
           FROM entries e JOIN transactions x ON x.id = e.tx
           LEFT JOIN (touches o JOIN watches w ON w.script = o.script AND w.removed_ms IS NULL)
             ON o.tx = e.tx AND w.treasury = e.treasury
           WHERE e.state IN ('held', 'missing', 'confirmed') AND EXISTS (
             SELECT 1 FROM watches b
             WHERE b.treasury = e.treasury AND b.baselined = 1 AND b.removed_ms IS NULL)
             AND NOT EXISTS (
               SELECT 1 FROM touches n JOIN watches u ON u.script = n.script AND u.removed_ms IS NULL
               WHERE n.tx = e.tx AND u.treasury = e.treasury AND u.baselined = 0)
           GROUP BY e.treasury, e.tx HAVING e.amount <> now"""
    ):
        yield f"treasury {row['treasury']}: transaction {row['txid']} moved {row['now']}, not {row['amount']}"
    # what waits for a baseline still to come is left to it, as in `recount`
    for row in connection.execute(
        """SELECT e.treasury, x.txid FROM entries e JOIN transactions x ON x.id = e.tx
           WHERE (e.state = 'confirmed' AND x.block_height IS NULL
               OR e.confirmed <> iif(e.state = 'confirmed', e.amount, 0)
               OR e.pending <> iif(e.state = 'held' OR (e.state = 'missing' AND e.pending <> 0), e.amount, 0))
             AND (e.baselined = 0 OR EXISTS (
               SELECT 1 FROM touches o JOIN watches w ON w.script = o.script AND w.removed_ms IS NULL
               WHERE o.tx = e.tx AND w.treasury = e.treasury AND w.baselined = 1))
             AND NOT EXISTS (
               SELECT 1 FROM touches n JOIN watches u ON u.script = n.script AND u.removed_ms IS NULL
               WHERE n.tx = e.tx AND u.treasury = e.treasury AND u.baselined = 0)"""
    ):
        yield f"treasury {row['treasury']}: its balance does not hold transaction {row['txid']} as it stands"
