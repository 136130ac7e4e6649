"""A small ledger written by hand, and a daemon behind it that does nothing but be asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tests.web.still_verbs import StillVerbs
from watcher.bitcoin.networks import Network
from watcher.ledger.bell import Bell
from watcher.ledger.figures import figures
from watcher.ledger.opening import create_or_open, path_in
from watcher.ledger.outbox import redeliver, redeliver_since
from watcher.ledger.queries import log_id
from watcher.ledger.reader import Reader
from watcher.ledger.sqlite import VERSION, open_reader
from watcher.web.page.terms import PageTerms
from watcher.web.snapshot import (
    Identity,
    Quorum,
    Settings,
    Snapshot,
    SourceFigure,
    SourceState,
    Stale,
    Waiting,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from watcher.ledger.queries import TreasuryRow

T = TypeVar("T")

NOON_MS = 1_795_521_600_000  # 2026-11-24T12:00:00Z
BLOCK_TIME = 1_795_500_000


@dataclass
class SmallLedger:
    """Rows as a daemon writes them: one treasury baselined at height 100, one still being read."""

    state: Path
    connection: sqlite3.Connection = field(init=False)
    log: str = field(init=False)

    def __post_init__(self) -> None:
        self.connection = create_or_open(self.state, Network.REGTEST, NOON_MS)
        self.log = log_id(self.connection)

    def fill(self) -> None:
        """Treasury `alpha`: 5 BTC at the baseline, then an inflow, a move, and two unconfirmed."""
        for height in (90, 100, 101, 102):
            self.header(height)
        self.treasury("alpha", confirmed=520_000_000, pending=-20_000_000, baselined=True)
        self.treasury("beta", confirmed=0, pending=0, baselined=False)
        self.scripts("alpha", 2, read=2)
        self.scripts("beta", 4, read=1)
        self.tx("alpha", "a1", (90, 3), "inflow", 300_000_000, baselined=True)
        self.event(
            "watch.baselined", "alpha", delta=(500_000_000, 0), anchor={"height": 100, "hash": "h" * 64}
        )
        # written in another order than the chain's
        self.tx("alpha", "a3", (102, 1), "internal", -1_000, moved=7_000)
        self.tx("alpha", "a2", (101, 5), "inflow", 20_001_000)
        self.tx("alpha", "a4", None, "outflow", -20_000_000)
        self.tx("alpha", "a5", None, "inflow", 9, state="dropped")
        self.event("tx.seen", "alpha", delta=(0, 20_001_000), flow="inflow", severity="warning")
        self.event(
            "tx.confirmed", "alpha", delta=(20_001_000, -20_001_000), flow="inflow", severity="warning"
        )
        self.event("tx.confirmed", "alpha", delta=(-1_000, 0), flow="internal")
        self.event("tx.seen", "alpha", delta=(0, -20_000_000), flow="outflow", severity="critical")
        self.delivery("ops", 2, "delivered")
        self.delivery("ops", 3, "pending")
        self.delivery("ops", 5, "dead")

    def sql(self, statement: str, *values: object) -> int:
        return self.connection.execute(statement, values).lastrowid or 0

    def header(self, height: int) -> None:
        header = bytes(68) + (BLOCK_TIME + height * 600).to_bytes(4, "little") + bytes(8)
        self.sql("INSERT INTO headers VALUES (?, ?)", height, header)

    def treasury(self, name: str, *, confirmed: int, pending: int, baselined: bool) -> None:
        self.sql(
            "INSERT INTO treasuries (name, title, attribution, confirmed, pending, baselined_ms,"
            " last_change_ms, complete_height, complete_hash, complete_ms, complete_sources)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            *(name, f'The "{name}" treasury\n', "own", confirmed, pending),
            *((NOON_MS, NOON_MS, 102, "c" * 64, NOON_MS, '["home"]') if baselined else (None,) * 5 + ("[]",)),
        )

    def scripts(self, treasury: str, count: int, *, read: int) -> None:
        for n in range(count):
            done = n < read
            script = self.sql(
                "INSERT INTO scripts (scripthash, script_pubkey, read_ms) VALUES (?, ?, ?)",
                *(f"{treasury}-{n}", b"\x51", NOON_MS if done else None),
            )
            self.sql(
                "INSERT INTO watches (treasury, script, baselined) VALUES (?, ?, ?)",
                *(treasury, script, int(done and read == count)),
            )

    def tx(
        self,
        treasury: str,
        txid: str,
        block: tuple[int, int] | None,
        flow: str,
        amount: int,
        *,
        moved: int | None = None,
        state: str | None = None,
        baselined: bool = False,
    ) -> None:
        height, index = block or (None, None)
        tx = self.sql(
            "INSERT INTO transactions (txid, raw, block_height, block_hash, block_index, block_time, trust,"
            " sources, first_seen_ms) VALUES (?, x'00', ?, ?, ?, ?, ?, '[]', 0)",
            *(txid * 32, height, None if height is None else f"{height:064x}", index),
            *(None if height is None else BLOCK_TIME + height * 600, "proven" if block else "reported"),
        )
        state = state or ("confirmed" if block else "held")
        held = amount if state == "held" else 0
        self.sql(
            "INSERT INTO entries VALUES (?,?,?,?,?,?,NULL,0,?,?,?,0,0,'inc_x',NULL,NULL,NULL,NULL)",
            *(treasury, tx, state, flow, amount, abs(amount) if moved is None else moved),
            *(amount if block else 0, held, int(baselined)),
        )

    def event(
        self,
        kind: str,
        treasury: str | None,
        *,
        delta: tuple[int, int] | None = None,
        flow: str | None = None,
        severity: str = "none",
        **more: object,
    ) -> int:
        sequence = self.connection.execute("SELECT coalesce(max(sequence), 0) + 1 FROM events").fetchone()[0]
        body: dict[str, Any] = {"id": f"evt_{sequence}", "log": self.log, "sequence": sequence} | more
        if delta:
            body["delta_sats"] = {"confirmed": delta[0], "pending": delta[1]}
        self.sql(
            "INSERT INTO events (sequence, id, type, treasury, flow, severity, at_ms, body, incident)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            *(
                sequence,
                f"evt_{sequence}",
                kind,
                treasury,
                flow,
                severity,
                NOON_MS + sequence,
                json.dumps(body),
                more.get("incident"),
            ),
        )
        return int(sequence)

    def delivery(self, endpoint: str, sequence: int, state: str) -> None:
        self.sql(
            "INSERT INTO deliveries (endpoint, webhook_id, sequence, body, created_ms, state, due_ms)"
            " VALUES (?, ?, ?, '{}', ?, ?, ?)",
            *(endpoint, f"evt_{sequence}", sequence, NOON_MS, state, NOON_MS + 5),
        )


class StillDaemon:
    """The backend of a daemon in which nothing happens but what a test sets."""

    def __init__(self, ledger: SmallLedger) -> None:
        self.ledger = ledger
        self.reader = Reader(open_reader(path_in(ledger.state)))
        self.identity = Identity(
            version="0.1.0",
            network="regtest",
            sqlite=VERSION,
            log=ledger.log,
            state_directory=str(ledger.state.resolve()),
            started_ms=NOON_MS,
        )
        self.page = PageTerms()
        self.bell = Bell()
        self.verbs = StillVerbs()
        self.not_ready: list[str] = []
        self.not_fresh: list[Stale] = [Stale("beta", ("first_reading",))]
        self.changes: dict[str, Any] = {}
        self.told: list[SourceFigure] = []
        self.candidates: list[Waiting] = []
        self.snapshots = 0
        self.reads = 0
        self.took: list[tuple[float, float]] = []  # from when to when each read, by the loop's clock
        self.before_read: Callable[[], None] = lambda: None

    async def take_time(self) -> None:
        """From here on no read is bounded in time: for what costs a slow machine more than a second."""
        await self.reader.close()
        connection = open_reader(path_in(self.ledger.state))
        self.reader = Reader(connection)
        connection.set_progress_handler(None, 0)

    async def snapshot(self) -> Snapshot:
        self.snapshots += 1
        found = await self.reader.run(lambda connection: figures(connection, None))
        snapshot = Snapshot(
            identity=self.identity,
            ledger=found,
            settings=Settings("ab" * 32, last_reload_successful=True, last_reload_success_ms=NOON_MS),
            quorum=Quorum(required=2, independent=1, fresh=1),
            writable=True,
            ledger_bytes=4096,
            free_bytes=10**9,
            loop_lag_seconds=0.001,
            sources=(
                SourceState("home", "electrum", "me", up=True, tip_height=102, last_success_ms=NOON_MS),
            ),
            stale=tuple(self.not_fresh),
            endpoints=("ops",),
        )
        return replace(snapshot, **self.changes)

    async def unready(self) -> Sequence[str]:
        return self.not_ready

    async def stale(self) -> Sequence[Stale]:
        return self.not_fresh

    async def first_reading(self, treasury: str) -> Sequence[SourceFigure]:
        return self.told if treasury == "beta" else []

    def waiting(self, treasury: str) -> Sequence[Waiting]:
        return self.candidates if treasury == "alpha" else []

    def completed(self, rows: Sequence[TreasuryRow]) -> Sequence[TreasuryRow]:
        return rows

    def independent(self, sources: Sequence[str]) -> int:
        return len(sources)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        self.reads += 1
        began = loop.time()
        self.before_read()
        found = await self.reader.run(work)
        self.took.append((began, loop.time()))
        return found

    async def reload(self, reason: str | None, by: str | None) -> Sequence[str]:
        return () if by == "somebody" and reason else ("watcher.toml:1: network: nobody may",)

    async def redeliver(self, delivery: int) -> bool:
        return await asyncio.to_thread(redeliver, self.ledger.connection, delivery, NOON_MS) is not None

    async def redeliver_since(self, endpoint: str, sequence: int) -> int | None:
        if endpoint != "ops":
            return None
        return await asyncio.to_thread(redeliver_since, self.ledger.connection, endpoint, sequence, NOON_MS)
