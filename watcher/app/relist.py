"""Takes a config into the ledger: the watch list becomes the config's, and what changed is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from watcher.app.difference import difference, outline, told_difference
from watcher.app.watchlist import Collision, Moment, Windows, listing
from watcher.ledger import chain as kept_chain
from watcher.ledger import configs, knowledge
from watcher.ledger.commit import Committed, tell
from watcher.ledger.conditions import Condition, forget_others, holding, set_condition
from watcher.ledger.outbox import revive
from watcher.ledger.reached import KIND
from watcher.ledger.rungs import pass_rungs
from watcher.ledger.watches import sync

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from watcher.app.kept import Succession
    from watcher.config.settings import Config
    from watcher.ledger.commit import Settings
    from watcher.ledger.watches import TreasuryList


@dataclass(frozen=True, slots=True)
class Author:
    """Who changed the config, and why, as they say; both may be unknown."""

    reason: str | None
    by: str | None


FOUND_AT_START = Author("found at start", None)
COLLISION: Final = "collision"


def moment(connection: sqlite3.Connection, config: Config, at_ms: int) -> Moment:
    """Now, as the ledger has it."""
    tip = kept_chain.tip(connection)
    has_wallets = any(treasury.wallets for treasury in config.treasuries)
    used = knowledge.used_scripts(connection) if has_wallets else frozenset()
    return Moment(None if tip is None else tip.height, at_ms, used)


def relist(
    connection: sqlite3.Connection,
    config: Config,
    windows: Windows,
    settings: Settings,
    author: Author,
    at_ms: int,
    succession: Succession,
) -> Committed:
    """One unit of work; what lowers a total or quietens a rule goes to the old config's endpoints too."""
    before, after = configs.last_accepted(connection), outline(config)
    listed = listing(config, windows, moment(connection, config, at_ms))
    events = sync(connection, settings.terms, listed.treasuries, at_ms)
    insiders: tuple[str, ...] = ()
    moved = succession.moved(connection)
    if before is not None and (before["digest"] != after["digest"] or moved):
        # a 410 was said by the place that was, and not by the one that a name leads to now
        for name in {*moved.values()} | {*after["endpoints"]} - {*before["endpoints"]}:
            revive(connection, name)
        changes, quieter = difference(before, after)
        changes += [{"what": "endpoint", "name": name, "change": "moved"} for name in moved.values()]
        lost = succession.lost(before["endpoints"])
        data: dict[str, object] = {
            "before": before["digest"],
            "after": after["digest"],
            **told_difference(changes),
            "reason": author.reason,
            "by": author.by,
        }
        if lost:
            data["not_reached"] = lost
        before_it = len(events)
        events += (
            configs.config_changed(
                connection,
                settings.terms,
                data,
                told=before_it,
                at_ms=at_ms,
                critical=quieter or bool(moved or lost),
            ),
        )
        reached = [name for name in before["endpoints"] if name in succession.reaches]
        insiders = (*moved, *reached, *(settings.policy.endpoints if lost else ()))
        pass_rungs(connection, settings.terms.finality)
    configs.accept(connection, after)
    _forget_what_left(connection, config, listed.treasuries, at_ms)
    policy = replace(settings.policy, insiders=insiders, reachable=frozenset(succession.reaches))
    told = [tell(connection, replace(settings, policy=policy), events, (), at_ms)]
    told += _tell_collisions(connection, settings, listed.collisions, at_ms)
    return Committed(
        tuple(event for each in told for event in each.events),
        frozenset(endpoint for each in told for endpoint in each.endpoints),
    )


def _forget_what_left(
    connection: sqlite3.Connection, config: Config, lists: Iterable[TreasuryList], at_ms: int
) -> None:
    """Nobody looks any more after what has left the config: what was so would stand for ever."""
    sources = {source.name for source in config.sources}
    treasuries = {treasury.name for treasury in lists if treasury.scripts}
    endpoints = {endpoint.name for endpoint in config.endpoints}
    forget_others(connection, "source", sources, at_ms)
    forget_others(connection, "disagreement", sources, at_ms)
    forget_others(connection, "stale", treasuries, at_ms)
    forget_others(connection, KIND, endpoints, at_ms)


def collisions_told(connection: sqlite3.Connection) -> frozenset[Collision]:
    """Those that were told and whose end was not."""
    return frozenset(Collision(*subject.split("/")) for subject in holding(connection, COLLISION))


def _tell_collisions(
    connection: sqlite3.Connection, settings: Settings, found: frozenset[Collision], at_ms: int
) -> Iterator[Committed]:
    for collision in sorted({*found, *collisions_told(connection)}):
        condition = Condition(
            COLLISION, "/".join(collision), "watch.collided", "watch.separated", treasury=collision.treasury
        )
        data: dict[str, object] = {"other": collision.owner}
        holds = collision in found
        yield set_condition(connection, settings, condition, data, at_ms, holds=holds)
