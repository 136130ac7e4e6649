"""Whether alerts reach an endpoint: a condition that begins with the first one given up or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from watcher.core.outbox import Accepted, Attempt, Dead, Refused
from watcher.ledger.commit import Committed
from watcher.ledger.conditions import Condition, set_condition
from watcher.ledger.outbox import is_gone

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from watcher.ledger.commit import Settings

KIND: Final = "endpoint"


def judge(connection: sqlite3.Connection, settings: Settings, attempts: Sequence[Attempt]) -> Committed:
    """Tell the other endpoints what these attempts, recorded already, show.

    A dead letter or a 410 begins it, the next success ends it; an attempt that is made again says nothing.
    """
    failing = connection.execute("SELECT 1 FROM conditions WHERE kind = ? LIMIT 1", (KIND,)).fetchone()
    if failing is None and not any(isinstance(attempt.fate, Dead | Refused) for attempt in attempts):
        return Committed((), frozenset())
    rows = connection.execute(
        "SELECT d.id, d.endpoint FROM json_each(?) j JOIN deliveries d ON d.id = j.value",
        (json.dumps([attempt.delivery for attempt in attempts]),),
    )
    endpoints = {row["id"]: row["endpoint"] for row in rows}
    told = Committed((), frozenset())
    for attempt in attempts:
        if isinstance(attempt.fate, Accepted | Dead | Refused):
            name, accepted = endpoints[attempt.delivery], isinstance(attempt.fate, Accepted)
            if name not in settings.policy.endpoints:
                continue  # a former place: nothing would ever end it
            if accepted and is_gone(connection, name):
                continue  # on its way when a 410 came: nothing else is sent there, and so nothing is well
            more = set_condition(
                connection,
                settings,
                Condition(KIND, name, "endpoint.failed", "endpoint.recovered"),
                {"endpoint": name} if accepted else {"endpoint": name, "reason": attempt.outcome},
                attempt.at_ms + attempt.took_ms,
                holds=not accepted,
            )
            told = Committed(told.events + more.events, told.endpoints | more.endpoints)
    return told
