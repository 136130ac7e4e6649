"""`watcher status`: what `systemctl status` would say if it knew bitcoin."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import click

from watcher.cli.failures import ExitCode
from watcher.cli.setup import pass_setup
from watcher.core.instants import rfc3339
from watcher.service.logging import clean
from watcher.service.numbers import counted
from watcher.web.history import btc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from watcher.cli.setup import Setup

_LABEL: Final = 10  # as wide as the longest word before a colon


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON object.")
@click.option(
    "--check", "checked", is_flag=True, help="Exit 1 when something is stale, dead, not ready or not running."
)
@pass_setup
def status(setup: Setup, *, as_json: bool, checked: bool) -> None:
    """Treasuries, sources and outbox on one page.

    Without a daemon it tells what the ledger last recorded; then nobody can say that it is fresh.
    """
    with setup.records() as records:
        found = records.status()
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(_page(found, setup.config.file)))
    if checked and not _well(found):
        raise click.exceptions.Exit(ExitCode.DOES_NOT_HOLD)


def _well(found: Mapping[str, Any]) -> bool:
    dead = any(row["dead"] for row in found["outbox"])
    return bool(found["running"] and found["ready"] and found["fresh"] and not dead)


def _page(found: Mapping[str, Any], config: Path) -> Iterator[str]:
    running = found["running"]
    yield f"{_mark(ok=_well(found), known=running)} treasury-watcher on {found['network']}"
    yield _line("Config", f"{config} ({found['config_digest'][:12]})")
    yield _line("Active", _active(found) if running else "no daemon runs; this is what the ledger recorded")
    yield _line("State", f"{found['state_directory']} (SQLite {found['sqlite']})")
    yield _line("Log", f"{found['log']}, {counted(found['sequence'], 'event')}")
    yield _line("Tip", _tip(found["tip"]))
    if running:
        quorum = found["quorum"]
        yield _line("Quorum", f"{quorum['fresh']} of {counted(quorum['required'], 'source')} fresh")
    for treasury in found["treasuries"]:
        yield _line("Treasury", _treasury(treasury))
    for source in found["sources"]:
        yield _line("Source", _source(source))
    for row in found["outbox"]:
        yield _line("Endpoint", _endpoint(row))


def _active(found: Mapping[str, Any]) -> str:
    ready = "running" if found["ready"] else f"not ready ({', '.join(found['unready_reasons'])})"
    failures = ", ".join(
        f"{job} failed {counted(count, 'time')}" for job, count in found["job_failures"].items() if count
    )
    return f"{ready} since {found['started']}, version {found['version']}{'; ' if failures else ''}{failures}"


def _tip(tip: Mapping[str, Any] | None) -> str:
    return "unknown" if tip is None else f"{tip['height']}, {tip['hash']}, {tip['time']}"


def _treasury(treasury: Mapping[str, Any]) -> str:
    balance, complete = treasury["balance_sats"], treasury["complete_as_of"]
    parts = ["balance unknown" if balance is None else f"{btc(balance['confirmed'])} BTC"]
    if balance is not None and balance["pending"]:
        parts.append(f"{btc(balance['pending'])} pending")
    match treasury["fresh"]:
        case True:
            parts.append("fresh")
        case False:
            parts.append(f"not fresh ({', '.join(treasury['stale_reasons']) or 'balance unknown'})")
    parts.append(counted(treasury["scripts"], "script"))
    if treasury["baseline_ratio"] < 1:
        parts.append(f"{treasury['baseline_ratio']:.0%} read{_left(treasury)}")
    elif treasury["unproven"]:
        parts.append(f"{counted(treasury['unproven'], 'transaction')} not yet proven{_left(treasury)}")
    if complete is not None:
        parts.append(
            f"complete at {complete['height']} by {', '.join(complete['sources'])}, {complete['time']}"
        )
    mark = _mark(ok=treasury["fresh"] is True, known=treasury["fresh"] is not None)
    return f"{mark} {treasury['name']}: {', '.join(parts)}"


def _left(treasury: Mapping[str, Any]) -> str:
    """How long it takes still, as far as that can be told."""
    seconds = treasury["seconds_left"]
    if seconds is None:
        return ""
    return (
        f" (about {seconds // 3600} h left)" if seconds >= 7200 else f" (about {seconds // 60 + 1} min left)"
    )


def _source(source: Mapping[str, Any]) -> str:
    if not source["up"]:
        return (
            f"{_mark(ok=False)} {source['name']}: down: {clean(source['last_error'] or 'not connected yet')}"
        )
    if source["quarantined_until"] is not None:
        until = source["quarantined_until"]
        return f"{_mark(ok=False)} {source['name']}: quarantined until {until}: {source['caught']}"
    software = clean(source["software"] or "unknown software", 100)
    return (
        f"{_mark(ok=True)} {source['name']}: up since {source['connected']}, tip {source['tip_height']}, "
        f"{software}, protocol {source['protocol']}, {counted(source['subscriptions'], 'script')}"
    )


def _endpoint(row: Mapping[str, Any]) -> str:
    due = f", oldest due {row['oldest_due']}" if row["oldest_due"] else ""
    until = row["paused_until"]
    paused = f", paused until {until}" if until and until > rfc3339(time.time_ns() // 1_000_000) else ""
    counts = f"{row['pending']} pending, {row['dead']} dead"
    return f"{_mark(ok=not row['dead'])} {row['endpoint']}: {counts}{due}{paused}"


def _line(label: str, text: str) -> str:
    return f"{label:>{_LABEL}}: {text}"


def _mark(*, ok: bool, known: bool = True) -> str:
    if not known:
        return "○"
    return click.style("●", fg="green") if ok else click.style("✗", fg="red")
