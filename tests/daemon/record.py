"""What was ever known of a log, and a look at the ledger that a killed daemon left."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watcher.bitcoin.networks import Network
from watcher.ledger.opening import open_existing, path_in
from watcher.ledger.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.receiver import Receiver


@dataclass
class Record:
    """What was ever found in the ledger or told to the receiver; each look must find it again."""

    state: Path
    receiver: Receiver
    ids: dict[int, str] = field(default_factory=dict)
    meanings: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def look(self) -> None:
        """The ledger as the kill left it is whole, and holds all that anybody ever saw of it."""
        if not path_in(self.state).exists():
            assert not self.ids
            return
        copy = self.state.with_name("looked at")  # the daemon itself recovers what lies in the state
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self.state.glob(f"{path_in(self.state).name}*"):
            shutil.copy(file, copy)
        with closing(open_existing(copy, Network.REGTEST)) as connection:
            assert verify(connection).failures == []
            rows = connection.execute("SELECT sequence, id, type, treasury, txid, flow FROM events")
            events = {row["sequence"]: tuple(row)[1:] for row in rows}
        assert {n: events[n][0] for n in self.ids} == self.ids  # nothing committed is lost
        for event_id, *meaning in events.values():
            assert self.meanings.setdefault(event_id, tuple(meaning)) == tuple(meaning)
        self.ids = {sequence: event[0] for sequence, event in events.items()}
        assert {one.data["id"] for one in self.receiver.verified} <= set(self.ids.values())
