"""The outbox in the ledger: deliveries lent to senders, and what became of each attempt.

Every function is called inside a transaction on the one writing connection. A lease is only a promise
not to lend the same delivery twice at once: when it runs out, or when the next process starts, what
was lent and not written down is due again, with the same id and the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar, assert_never

from watcher.core.outbox import Accepted, Again, Attempt, Dead, Lease, Leased, Refused

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")

_LEND: Final = """
    UPDATE deliveries SET leased_ms = ? WHERE id IN (
        SELECT id FROM deliveries
        WHERE endpoint = ? AND state = 'pending' AND due_ms <= ?
            AND (leased_ms IS NULL OR leased_ms <= ? OR leased_ms > ?)
        ORDER BY due_ms, id LIMIT ?)
    RETURNING due_ms, id, webhook_id, sequence, attempts, created_ms, body,
        EXISTS (SELECT 1 FROM conditions c WHERE c.incident = deliveries.incident) AS holds,
        EXISTS (SELECT 1 FROM deliveries later JOIN events e ON e.sequence = later.sequence
                WHERE later.incident = deliveries.incident AND later.id > deliveries.id
                    AND later.endpoint = deliveries.endpoint AND later.state = 'delivered'
                    AND e.type NOT IN ('incident.noted', 'movement.expected')) AS overtaken
"""
_FOLLOWING: Final = """
    SELECT due_ms FROM deliveries
    WHERE endpoint = ? AND state = 'pending' AND (leased_ms IS NULL OR leased_ms <= ? OR leased_ms > ?)
    ORDER BY due_ms LIMIT 1
"""
# what a sender has in hand is on its way already
_DUE_AGAIN: Final = """
    UPDATE deliveries
    SET state = 'pending', attempts = 0, due_ms = ?, leased_ms = NULL, done_ms = NULL, reason = NULL
    WHERE (state <> 'pending' OR leased_ms IS NULL)
"""

# longer than an attempt and its wait in the sender's queue can take
LEASE_MS: Final = 300_000
# longer than an attempt under way can take until it is written down
ATTEMPT_MS: Final = 30_000
# why a delivery is dead that was never refused itself: the endpoint said 410 to another
GONE: Final = "gone"
# the same: its endpoint left the config, and what is needed to reach it is lost
UNREACHABLE: Final = "unreachable"


class Run(Protocol):
    """Runs a piece of work in one transaction on the writer's thread and gives back what it returned."""

    async def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> T:
        """Commit what `work` did, or nothing of it."""


class LedgerStore:
    """The outbox's store, on the ledger's writer."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def recover(self) -> None:
        """Make due again what a process that is no more had in hand."""
        await self._run(recover)

    async def lease(self, endpoint: str, now_ms: int, limit: int) -> Lease:
        """Borrow what is due."""
        return await self._run(lambda connection: lease_due(connection, endpoint, now_ms, limit))

    async def standing(self, endpoint: str, now_ms: int) -> Sequence[str]:
        """What it was told of and still holds."""
        return await self._run(lambda connection: standing(connection, endpoint, now_ms))

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down what became of them, in one commit."""
        await self._run(lambda connection: record(connection, attempts))


def recover(connection: sqlite3.Connection) -> None:
    """End every lease; called once at start, when the lock on the ledger says that no other sender lives."""
    connection.execute(
        "UPDATE deliveries SET leased_ms = NULL WHERE state = 'pending' AND leased_ms NOT NULL"
    )


def lease_due(connection: sqlite3.Connection, endpoint: str, now_ms: int, limit: int) -> Lease:
    """Lend at most `limit` deliveries that are due at the endpoint, the longest due first.

    What waits for an endpoint that said 410 is dead instead. A paused endpoint is lent nothing: what was
    tried before goes on with its schedule when the pause is over. A lease that ends later than a new one
    would was given before the clock was set back, and holds nothing.
    """
    if is_gone(connection, endpoint):
        _bury(connection, endpoint, now_ms, GONE)
        return Lease((), None)
    paused_ms = paused_until(connection, endpoint, now_ms)
    if paused_ms is not None:
        # what was lent and not begun is due when the pause ends, and not when its lease would have
        connection.execute(
            "UPDATE deliveries SET leased_ms = ?1"
            " WHERE endpoint = ?2 AND state = 'pending' AND leased_ms > ?1",
            (now_ms + ATTEMPT_MS, endpoint),
        )
        return Lease((), paused_ms)
    until_ms = now_ms + LEASE_MS
    rows = connection.execute(_LEND, (until_ms, endpoint, now_ms, now_ms, until_ms, limit)).fetchall()
    # RETURNING gives rows in no promised order
    rows.sort(key=lambda row: (row["due_ms"], row["id"]))
    following = connection.execute(_FOLLOWING, (endpoint, now_ms, until_ms)).fetchone()
    return Lease(
        tuple(
            Leased(
                id=row["id"],
                webhook_id=row["webhook_id"],
                sequence=row["sequence"],
                attempts=row["attempts"],
                created_ms=row["created_ms"],
                until_ms=until_ms,
                body=row["body"],
                holds=bool(row["holds"]),
                overtaken=bool(row["overtaken"]),
            )
            for row in rows
        ),
        None if following is None else following["due_ms"],
    )


def owed_endpoints(connection: sqlite3.Connection) -> frozenset[str]:
    """Those for which something is pending; costs as much as there are such endpoints."""
    rows = connection.execute(
        """WITH RECURSIVE owed (endpoint) AS (
               SELECT min(endpoint) FROM deliveries WHERE state = 'pending'
               UNION ALL
               SELECT (SELECT min(endpoint) FROM deliveries
                       WHERE state = 'pending' AND endpoint > owed.endpoint)
               FROM owed WHERE owed.endpoint IS NOT NULL)
           SELECT endpoint FROM owed WHERE endpoint IS NOT NULL"""
    )
    return frozenset(row["endpoint"] for row in rows)


def hasten(connection: sqlite3.Connection, now_ms: int) -> None:
    """Make due now all that waits for an instant: the clock was set back, and would reach it too late.

    What waits to see whether a condition lasts must not be told early, nor an endpoint that is spared: each
    waits once more as long at most.
    """
    connection.execute(
        """UPDATE pauses SET since_ms = min(since_ms, ?1), until_ms = min(until_ms, ?1 + until_ms - since_ms)
           WHERE until_ms > ?1""",
        (now_ms,),
    )
    connection.execute(
        """UPDATE deliveries SET due_ms = iif(
             attempts = 0 AND sequence IN (SELECT sequence FROM conditions),
             min(due_ms, ?1 + due_ms - created_ms), ?1)
           WHERE state = 'pending' AND due_ms > ?1""",
        (now_ms,),
    )


def never_owed(connection: sqlite3.Connection, endpoints: Iterable[str]) -> frozenset[str]:
    """Of these, those for which there never was a delivery."""
    found = "SELECT 1 FROM deliveries WHERE endpoint = ? LIMIT 1"
    return frozenset(name for name in endpoints if connection.execute(found, (name,)).fetchone() is None)


def give_up(connection: sqlite3.Connection, endpoint: str, now_ms: int) -> int:
    """Make dead what waits for an endpoint that nobody knows how to reach; how many."""
    return _bury(connection, endpoint, now_ms, UNREACHABLE)


def paused_until(connection: sqlite3.Connection, endpoint: str, now_ms: int) -> int | None:
    """When the endpoint's pause ends; None where there is none, or it is over."""
    row = connection.execute("SELECT until_ms FROM pauses WHERE endpoint = ?", (endpoint,)).fetchone()
    return None if row is None or row["until_ms"] <= now_ms else int(row["until_ms"])


def standing(connection: sqlite3.Connection, endpoint: str, now_ms: int) -> list[str]:
    """The bodies by which the endpoint was told of conditions that hold now; none where it is spared."""
    if is_gone(connection, endpoint) or paused_until(connection, endpoint, now_ms) is not None:
        return []
    rows = connection.execute(
        """SELECT d.body FROM conditions c
           JOIN deliveries d ON d.incident = c.incident AND d.sequence = c.sequence
           WHERE d.endpoint = ? AND d.state = 'delivered' ORDER BY d.id""",
        (endpoint,),
    )
    return [row["body"] for row in rows]


def revive(connection: sqlite3.Connection, endpoint: str) -> None:
    """Try an endpoint again that said 410."""
    connection.execute("DELETE FROM meta WHERE key = ?", (_gone_key(endpoint),))


def record(connection: sqlite3.Connection, attempts: Sequence[Attempt]) -> None:
    """Write down attempts and what they make of their deliveries.

    An acceptance stands whatever else was decided meanwhile; any other fate touches only what is still
    pending, since a 410 to another delivery may have ended this one while it was on its way.
    """
    connection.executemany(
        "INSERT INTO attempts (delivery, number, at_ms, took_ms, outcome, status)"
        " SELECT ?, 1 + coalesce(max(number), 0), ?, ?, ?, ? FROM attempts WHERE delivery = ?",
        [(a.delivery, a.at_ms, a.took_ms, a.outcome, a.status, a.delivery) for a in attempts],
    )
    connection.executemany(
        "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, leased_ms = NULL,"
        " done_ms = ?, reason = NULL WHERE id = ?",
        [(a.at_ms + a.took_ms, a.delivery) for a in attempts if isinstance(a.fate, Accepted)],
    )
    for attempt in attempts:
        _settle(connection, attempt)


def _settle(connection: sqlite3.Connection, attempt: Attempt) -> None:
    ended_ms = attempt.at_ms + attempt.took_ms
    match attempt.fate:
        case Accepted():
            pass  # all of them at once, before
        case Again(due_ms=due_ms):
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, leased_ms = NULL, due_ms = ?, reason = ?"
                " WHERE id = ? AND state = 'pending'",
                (due_ms, attempt.outcome, attempt.delivery),
            )
        case Dead() | Refused():
            connection.execute(
                "UPDATE deliveries SET state = 'dead', attempts = attempts + 1, leased_ms = NULL,"
                " done_ms = ?, reason = ? WHERE id = ? AND state = 'pending'",
                (ended_ms, attempt.outcome, attempt.delivery),
            )
            if isinstance(attempt.fate, Refused):
                _end(connection, attempt.delivery, ended_ms)
        case _:
            assert_never(attempt.fate)


def redeliver(connection: sqlite3.Connection, delivery: int, now_ms: int) -> str | None:
    """Make one delivery due now, as if never tried; the endpoint to ring, or None: no such delivery."""
    row = connection.execute("SELECT endpoint FROM deliveries WHERE id = ?", (delivery,)).fetchone()
    if row is None:
        return None
    endpoint: str = row["endpoint"]
    revive(connection, endpoint)
    connection.execute(f"{_DUE_AGAIN} AND id = ?", (now_ms, delivery))
    return endpoint


def redeliver_since(connection: sqlite3.Connection, endpoint: str, sequence: int, now_ms: int) -> int:
    """Make due now, as if never tried, all that ever was for the endpoint from that event on; how many."""
    revive(connection, endpoint)
    return connection.execute(
        f"{_DUE_AGAIN} AND endpoint = ? AND sequence >= ?", (now_ms, endpoint, sequence)
    ).rowcount


def _gone_key(endpoint: str) -> str:
    return f"gone:{endpoint}"


def is_gone(connection: sqlite3.Connection, endpoint: str) -> bool:
    """Whether the endpoint said 410, and nobody has asked since to try it again."""
    found = connection.execute("SELECT 1 FROM meta WHERE key = ?", (_gone_key(endpoint),)).fetchone()
    return found is not None


def _end(connection: sqlite3.Connection, delivery: int, now_ms: int) -> None:
    row = connection.execute("SELECT endpoint FROM deliveries WHERE id = ?", (delivery,)).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (_gone_key(row["endpoint"]), str(now_ms))
    )
    _bury(connection, row["endpoint"], now_ms, GONE)


def _bury(connection: sqlite3.Connection, endpoint: str, now_ms: int, reason: str) -> int:
    return connection.execute(
        "UPDATE deliveries SET state = 'dead', leased_ms = NULL, done_ms = ?, reason = ?"
        " WHERE endpoint = ? AND state = 'pending'",
        (now_ms, reason, endpoint),
    ).rowcount
