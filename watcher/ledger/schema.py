"""The ledger's tables, as migrations that are applied in order and never edited once released.

Everything is STRICT. Amounts are INTEGER satoshis. Hashes are hex TEXT in display order, so that an
operator can read the file with any SQLite shell. Instants are INTEGER milliseconds since 1970 UTC in
columns named `…_ms`, and RFC 3339 text inside event bodies. Headers are rows of this same file rather
than a file of their own: a reorganisation then moves headers, transactions and events in one commit,
and a copy of the ledger is a copy of everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils import Database, Migrations

if TYPE_CHECKING:
    import sqlite3

migrations = Migrations("ledger")


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what the ledger has not; with the last of them it is of `watcher.ledger.version.VERSION`."""
    migrations.apply(Database(connection))


_FIRST: Final = (
    # network, log, created_ms
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # our chain; below the last checkpoint only the chunks that hold a transaction of ours
    """CREATE TABLE headers (
        height INTEGER PRIMARY KEY,
        raw BLOB NOT NULL CHECK (length(raw) = 80)
    ) STRICT""",
    """CREATE TABLE reorganizations (
        sequence INTEGER PRIMARY KEY REFERENCES events (sequence),
        fork_height INTEGER NOT NULL,
        depth INTEGER NOT NULL
    ) STRICT""",
    # status: Electrum's hash of the history as last read in full; read_ms: null until then
    """CREATE TABLE scripts (
        id INTEGER PRIMARY KEY,
        scripthash TEXT NOT NULL UNIQUE,
        script_pubkey BLOB NOT NULL,
        status TEXT,
        read_ms INTEGER
    ) STRICT""",
    # baselined_ms: null until the first complete reading was told; listed: it is in the config now
    """CREATE TABLE treasuries (
        name TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        attribution TEXT NOT NULL,
        listed INTEGER NOT NULL DEFAULT 1,
        confirmed INTEGER NOT NULL DEFAULT 0,
        pending INTEGER NOT NULL DEFAULT 0,
        baselined_ms INTEGER,
        last_change_ms INTEGER,
        complete_height INTEGER,
        complete_hash TEXT,
        complete_ms INTEGER,
        complete_sources TEXT NOT NULL DEFAULT '[]'
    ) STRICT, WITHOUT ROWID""",
    # a script in a treasury; one row for each time it was on the list. wallet: which one it was derived
    # from, if any
    """CREATE TABLE watches (
        id INTEGER PRIMARY KEY,
        treasury TEXT NOT NULL REFERENCES treasuries (name),
        script INTEGER NOT NULL REFERENCES scripts (id),
        address TEXT,
        label TEXT,
        published TEXT,
        published_by TEXT,
        source TEXT,
        wallet TEXT,
        anchor_height INTEGER,
        anchor_hash TEXT,
        baselined INTEGER NOT NULL DEFAULT 0,
        removed_ms INTEGER
    ) STRICT""",
    "CREATE UNIQUE INDEX watches_script ON watches (script) WHERE removed_ms IS NULL",
    "CREATE INDEX watches_treasury ON watches (treasury) WHERE removed_ms IS NULL",
    "CREATE INDEX watches_unread ON watches (treasury) WHERE removed_ms IS NULL AND baselined = 0",
    "CREATE INDEX watches_unanchored ON watches (id) WHERE removed_ms IS NULL AND anchor_height IS NULL",
    # raw: without witness; branch: sibling hashes of 32 bytes each, leaf to root, as hashed.
    # displaced_by: the block at fork height + 1 of the branch that took block_hash out of the chain,
    # until a reading of the new branch has said where the transaction is now.
    # held: some source has it unconfirmed as far as we know
    """CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        txid TEXT NOT NULL UNIQUE,
        raw BLOB NOT NULL,
        block_height INTEGER,
        block_hash TEXT,
        block_index INTEGER,
        block_time INTEGER,
        branch BLOB,
        displaced_by TEXT,
        held INTEGER NOT NULL DEFAULT 0,
        trust TEXT NOT NULL,
        sources TEXT NOT NULL,
        first_seen_ms INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX transactions_block ON transactions (block_height) WHERE block_height IS NOT NULL",
    "CREATE INDEX transactions_displaced ON transactions (id) WHERE displaced_by IS NOT NULL",
    # which watched script a transaction pays or spends
    """CREATE TABLE touches (
        script INTEGER NOT NULL REFERENCES scripts (id),
        tx INTEGER NOT NULL REFERENCES transactions (id),
        received INTEGER NOT NULL,
        spent INTEGER NOT NULL,
        PRIMARY KEY (script, tx)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX touches_tx ON touches (tx)",
    "CREATE INDEX touches_spent ON touches (script, tx) WHERE spent > 0",
    # outputs that pay a script we watch or have watched
    """CREATE TABLE coins (
        txid TEXT NOT NULL,
        vout INTEGER NOT NULL,
        script INTEGER NOT NULL REFERENCES scripts (id),
        sats INTEGER NOT NULL,
        PRIMARY KEY (txid, vout)
    ) STRICT, WITHOUT ROWID""",
    # every input of every transaction kept, so that rivals for a coin find each other
    """CREATE TABLE spends (
        txid TEXT NOT NULL,
        vout INTEGER NOT NULL,
        tx INTEGER NOT NULL REFERENCES transactions (id),
        PRIMARY KEY (txid, vout, tx)
    ) STRICT, WITHOUT ROWID""",
    # a transaction in a treasury's book. confirmed and pending: what the log's sum holds of it so far;
    # left: the watch list changed and no script of the treasury is in it any more
    """CREATE TABLE entries (
        treasury TEXT NOT NULL REFERENCES treasuries (name),
        tx INTEGER NOT NULL REFERENCES transactions (id),
        state TEXT NOT NULL CHECK (state IN
            ('held', 'confirmed', 'missing', 'replaced', 'dropped', 'conflicted', 'left')),
        flow TEXT NOT NULL,
        amount INTEGER NOT NULL,
        moved INTEGER NOT NULL,
        fee INTEGER,
        mixed INTEGER NOT NULL,
        confirmed INTEGER NOT NULL,
        pending INTEGER NOT NULL,
        baselined INTEGER NOT NULL,
        final INTEGER NOT NULL,
        level INTEGER NOT NULL,
        incident TEXT NOT NULL,
        correction TEXT,
        stated TEXT,
        confirmed_event INTEGER,
        missing_ms INTEGER,
        PRIMARY KEY (treasury, tx)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX entries_tx ON entries (tx)",
    "CREATE INDEX entries_open ON entries (tx) WHERE state IN ('held', 'missing')",
    "CREATE INDEX entries_climbing ON entries (tx) WHERE state = 'confirmed' AND final = 0",
    # the log. body: the payload's `data`, as sent, without what belongs to a delivery
    """CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        treasury TEXT,
        txid TEXT,
        incident TEXT,
        flow TEXT,
        severity TEXT NOT NULL DEFAULT 'none',
        at_ms INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX events_incident ON events (incident) WHERE incident IS NOT NULL",
    "CREATE INDEX events_treasury ON events (treasury, sequence)",
    """CREATE INDEX events_watch ON events (treasury, sequence)
       WHERE type IN ('watch.baselined', 'watch.removed')""",
    "CREATE INDEX events_counted ON events (type, treasury, flow, severity)",
    # the outbox. body: the bytes to send, fixed here; due_ms: next attempt; leased_ms: until when a
    # sender has it in hand (a crash lets the lease run out)
    """CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL,
        webhook_id TEXT NOT NULL,
        sequence INTEGER NOT NULL REFERENCES events (sequence),
        incident TEXT,
        severity TEXT NOT NULL DEFAULT 'info',
        body TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0,
        due_ms INTEGER NOT NULL,
        leased_ms INTEGER,
        done_ms INTEGER,
        reason TEXT,
        UNIQUE (endpoint, webhook_id)
    ) STRICT""",
    "CREATE INDEX deliveries_due ON deliveries (endpoint, due_ms) WHERE state = 'pending'",
    "CREATE INDEX deliveries_dead ON deliveries (endpoint) WHERE state = 'dead'",
    "CREATE INDEX deliveries_incident ON deliveries (incident) WHERE incident IS NOT NULL",
    """CREATE TABLE attempts (
        delivery INTEGER NOT NULL REFERENCES deliveries (id),
        number INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        took_ms INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER,
        PRIMARY KEY (delivery, number)
    ) STRICT, WITHOUT ROWID""",
    # what servers are known by whose key is trusted on first use; fingerprint: SHA-256 of the certificate
    """CREATE TABLE pins (
        source TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # endpoints that are spared for a while
    """CREATE TABLE pauses (
        endpoint TEXT PRIMARY KEY,
        since_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # movements that somebody announced (scripts: hex, as JSON), and the outflows that were recognised
    """CREATE TABLE expectations (
        id INTEGER PRIMARY KEY,
        treasury TEXT NOT NULL REFERENCES treasuries (name),
        scripts TEXT NOT NULL,
        most_sats INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        sequence INTEGER NOT NULL REFERENCES events (sequence)
    ) STRICT""",
    "CREATE INDEX expectations_treasury ON expectations (treasury)",
    """CREATE TABLE expected (
        expectation INTEGER NOT NULL REFERENCES expectations (id),
        txid TEXT NOT NULL REFERENCES transactions (txid),
        incident TEXT NOT NULL,
        sats INTEGER NOT NULL,
        PRIMARY KEY (expectation, txid)
    ) STRICT, WITHOUT ROWID""",
    # what is the case at present: firing since, and the events that told it
    """CREATE TABLE conditions (
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        incident TEXT NOT NULL,
        sequence INTEGER NOT NULL REFERENCES events (sequence),
        PRIMARY KEY (kind, subject)
    ) STRICT, WITHOUT ROWID""",
)


@migrations()
def m001_first(db: Database) -> None:
    """The tables of version 1."""
    for statement in _FIRST:
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")


@migrations()
def m002_provenance(db: Database) -> None:
    """When a watch's source was read (an ISO day), and under which licence it stands.

    Null until the list is taken from the config again, which the next start does.
    """
    db.execute("ALTER TABLE watches ADD COLUMN read TEXT")
    db.execute("ALTER TABLE watches ADD COLUMN licence TEXT")
    db.execute("PRAGMA user_version = 2")


# span: the height of a confirmed transaction through 144, -1 for the others that count (`sums.py`)
_SUMS: Final = """CREATE TABLE sums (
        treasury TEXT NOT NULL REFERENCES treasuries (name),
        span INTEGER NOT NULL,
        flow TEXT NOT NULL,
        transactions INTEGER NOT NULL,
        proven INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        moved INTEGER NOT NULL,
        PRIMARY KEY (treasury, span, flow)
    ) STRICT, WITHOUT ROWID"""


def _add(sign: str, entry: str, tx: str, where: str) -> str:
    """Add what an entry counts for to its sum, or take it away."""
    return f"""INSERT INTO sums SELECT {entry}.treasury,
      CASE {entry}.state WHEN 'confirmed' THEN coalesce({tx}.block_height, 0) / 144 ELSE -1 END,
      {entry}.flow, {sign}1, {sign}({tx}.trust = 'proven'), {sign}{entry}.amount, {sign}{entry}.moved {where}
      AND ({entry}.state IN ('held', 'confirmed') OR {entry}.pending <> 0)
    ON CONFLICT (treasury, span, flow) DO UPDATE SET transactions = transactions + excluded.transactions,
      proven = proven + excluded.proven, amount = amount + excluded.amount, moved = moved + excluded.moved;"""


def _of_entry(sign: str, entry: str) -> str:
    return _add(sign, entry, "t", f"FROM transactions t WHERE t.id = {entry}.tx")


def _of_transaction(sign: str, tx: str) -> str:
    return _add(sign, "e", tx, "FROM entries e WHERE e.tx = new.id")


@migrations()
def m003_sums(db: Database) -> None:
    """What books add up to, kept by the ledger itself: whoever writes an entry cannot forget it."""
    db.execute(_SUMS)
    db.execute(
        """INSERT INTO sums SELECT e.treasury,
          CASE e.state WHEN 'confirmed' THEN coalesce(t.block_height, 0) / 144 ELSE -1 END AS span,
          e.flow, count(*), sum(t.trust = 'proven'), sum(e.amount), sum(e.moved)
        FROM entries e JOIN transactions t ON t.id = e.tx
        WHERE e.state IN ('held', 'confirmed') OR e.pending <> 0 GROUP BY e.treasury, span, e.flow"""
    )
    db.execute(f"CREATE TRIGGER sums_entry_new AFTER INSERT ON entries BEGIN {_of_entry('', 'new')} END")
    db.execute(f"CREATE TRIGGER sums_entry_gone AFTER DELETE ON entries BEGIN {_of_entry('-', 'old')} END")
    db.execute(
        f"""CREATE TRIGGER sums_entry AFTER UPDATE OF state, flow, amount, moved, pending ON entries
        WHEN (old.state, old.flow, old.amount, old.moved, old.pending <> 0)
          IS NOT (new.state, new.flow, new.amount, new.moved, new.pending <> 0)
        BEGIN {_of_entry("-", "old")} {_of_entry("", "new")} END"""
    )
    db.execute(
        f"""CREATE TRIGGER sums_transaction AFTER UPDATE OF block_height, trust ON transactions
        WHEN (old.block_height, old.trust) IS NOT (new.block_height, new.trust)
        BEGIN {_of_transaction("-", "old")} {_of_transaction("", "new")} END"""
    )
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_unproven(db: Database) -> None:
    """What waits for its branch is found without a walk through all that has one (`unproven.py`)."""
    db.execute(
        """CREATE INDEX transactions_unproven ON transactions (block_height)
           WHERE block_height IS NOT NULL AND displaced_by IS NULL AND trust <> 'proven'"""
    )
    db.execute("PRAGMA user_version = 4")
