"""What the API says of treasuries, sources, deliveries and the daemon, as plain JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watcher.core.instants import rfc3339, rfc3339_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watcher.ledger.queries import DeliveryRow, OutboxRow, TipRow, TreasuryRow
    from watcher.web.snapshot import Snapshot, SourceFigure, SourceState, Stale, Waiting


def instant(ms: int | None) -> str | None:
    """RFC 3339, or null for what never happened."""
    return None if ms is None else rfc3339(ms)


def treasury_view(
    row: TreasuryRow,
    stale: Mapping[str, Sequence[str]] | None,
    independent: Callable[[Sequence[str]], int] | None,
) -> dict[str, Any]:
    """A treasury; balance and freshness are null while they are not known.

    Without a daemon there is nobody who could say what is fresh or independent: both are null then.
    """
    reasons = [] if stale is None else list(stale.get(row.name, ()))
    known = row.confirmed is not None and row.pending is not None
    fresh = None if stale is None or not row.scripts else known and not reasons
    return {
        "name": row.name,
        "title": row.title,
        "attribution": row.attribution,
        "balance_sats": {"confirmed": row.confirmed, "pending": row.pending} if known else None,
        "fresh": fresh,
        "stale_reasons": reasons,
        "complete_as_of": _complete(row, independent),
        "baselined": instant(row.baselined_ms),
        "last_change": instant(row.last_change_ms),
        "scripts": row.scripts,
        "baseline_ratio": row.baseline_ratio,
        "unproven": row.unproven,
        "seconds_left": None if row.seconds_left is None else round(row.seconds_left),
    }


def _complete(row: TreasuryRow, independent: Callable[[Sequence[str]], int] | None) -> dict[str, Any] | None:
    if row.complete is None:
        return None
    return {
        "height": row.complete.height,
        "hash": row.complete.hash,
        "time": instant(row.complete.at_ms),
        "sources": list(row.complete.sources),
        "independent": None if independent is None else independent(row.complete.sources),
    }


def unproven_view(figures: Sequence[SourceFigure], waiting: Sequence[Waiting]) -> dict[str, Any]:
    """What is no fact: each source's own figure while all is read for the first time, and candidates."""
    return {
        "first_reading": [
            {"source": f.source, "read": f.read, "scripts": f.scripts, "unproven_sats": f.sats}
            for f in figures
        ],
        "candidates": [{"txid": w.txid, "amount_sats": w.sats, "sources": list(w.sources)} for w in waiting],
    }


def stale_view(stale: Sequence[Stale]) -> list[dict[str, Any]]:
    """Who is not fresh, and why."""
    return [{"treasury": entry.treasury, "reasons": list(entry.reasons)} for entry in stale]


def tip_view(tip: TipRow | None) -> dict[str, Any] | None:
    """Our chain's last block; `time` is the miner's."""
    if tip is None:
        return None
    return {"height": tip.height, "hash": tip.hash, "time": rfc3339_seconds(tip.time)}


def source_view(source: SourceState) -> dict[str, Any]:
    """A source's health."""
    return {
        "name": source.name,
        "kind": source.kind,
        "operator": source.operator,
        "up": source.up,
        "tip_height": source.tip_height,
        "connected": instant(source.connected_ms),
        "last_success": instant(source.last_success_ms),
        "subscriptions": source.subscriptions,
        "protocol": source.protocol,
        "software": source.software,
        "last_error": source.last_error,
        "requests": dict(source.requests),
        "strikes": dict(source.strikes),
        "pin": source.pin,
        "caught": source.caught,
        "quarantined_until": instant(source.quarantined_until_ms),
    }


def outbox_view(rows: Sequence[OutboxRow], endpoints: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What is owed to each endpoint, those of the config and those that were."""
    found = {row.endpoint: row for row in rows}
    views = []
    for name in sorted({*found, *endpoints}):
        row = found.get(name)
        views.append(
            {
                "endpoint": name,
                "pending": 0 if row is None else row.pending,
                "dead": 0 if row is None else row.dead,
                "oldest_due": None if row is None else instant(row.oldest_due_ms),
                "paused_until": None if row is None else instant(row.paused_until_ms),
            }
        )
    return views


def delivery_view(row: DeliveryRow) -> dict[str, Any]:
    """A delivery and how it stands."""
    return {
        "id": row.id,
        "endpoint": row.endpoint,
        "webhook_id": row.webhook_id,
        "sequence": row.sequence,
        "type": row.type,
        "incident": row.incident,
        "state": row.state,
        "attempts": row.attempts,
        "created": instant(row.created_ms),
        "due": instant(row.due_ms),
        "done": instant(row.done_ms),
        "reason": row.reason,
    }


def status_view(
    snapshot: Snapshot, unready: Sequence[str], independent: Callable[[Sequence[str]], int]
) -> dict[str, Any]:
    """The whole daemon on one page, for `watcher status`."""
    identity, ledger = snapshot.identity, snapshot.ledger
    stale = {entry.treasury: entry.reasons for entry in snapshot.stale}
    return {
        "version": identity.version,
        "network": identity.network,
        "sqlite": identity.sqlite,
        "log": identity.log,
        "sequence": ledger.sequence,
        "state_directory": identity.state_directory,
        "started": instant(identity.started_ms),
        "config_digest": snapshot.settings.digest,
        "ready": not unready,
        "unready_reasons": list(unready),
        "fresh": not snapshot.stale,
        "tip": tip_view(ledger.tip),
        "quorum": {
            "required": snapshot.quorum.required,
            "independent": snapshot.quorum.independent,
            "fresh": snapshot.quorum.fresh,
        },
        "treasuries": [treasury_view(row, stale, independent) for row in ledger.treasuries],
        "sources": [source_view(source) for source in snapshot.sources],
        "outbox": outbox_view(ledger.outbox, snapshot.endpoints),
        "job_failures": dict(snapshot.job_failures),
    }
