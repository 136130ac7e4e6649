"""Reload: a new config is taken as a whole, or the old one stays as a whole.

Nothing known is fetched again and attempts under way are finished; new watches are read and baselined
like those of the first start.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from watcher.app.current import accepted
from watcher.app.kept import Succession, succeed
from watcher.app.relist import Author, collisions_told, moment, relist
from watcher.app.watchlist import changes_by_itself, listing
from watcher.app.wiring import reaches_of, senders
from watcher.config.credentials import SecretProblem
from watcher.config.errors import ConfigErrors
from watcher.config.garbage import collector_paused
from watcher.config.load import load_config
from watcher.config.secrets_check import check_secrets
from watcher.ledger import knowledge
from watcher.ledger.watches import listed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from watcher.app.current import Accepted, Current
    from watcher.app.deliveries import Deliveries
    from watcher.app.kept import Kept
    from watcher.app.watchlist import Windows
    from watcher.bitcoin.types import ScriptHash
    from watcher.config.settings import Config
    from watcher.ledger.commit import Committed
    from watcher.ledger.watches import TreasuryList
    from watcher.ledger.writer import Writer
    from watcher.observe.watch import Watch

log = logging.getLogger(__name__)

# What a running daemon cannot exchange under its own feet.
_AT_START_ONLY: Final = ("network", "state_directory", "http", "sources", "log_format")

BY_ITSELF: Final = Author("a membership began or ended", None)


class Reloader:
    """Reads the config again and puts it in force."""

    def __init__(  # noqa: PLR0913 - the parts it puts the config into
        self,
        path: Path,
        environ: Mapping[str, str],
        current: Current,
        windows: Windows,
        kept: Kept,
        *,
        writer: Writer,
        watch: Watch,
        deliveries: Deliveries,
        now_ms: Callable[[], int],
    ) -> None:
        self._path = path
        self._environ = environ
        self._current = current
        self._windows = windows
        self._kept = kept
        self._writer = writer
        self._watch = watch
        self._deliveries = deliveries
        self._now_ms = now_ms
        self._looked_at: Config | None = None
        self._may_change = False

    async def reload(self, author: Author) -> tuple[str, ...]:
        """The errors for which the config was refused; none where it is in force now."""
        async with self._kept.turn:
            try:
                errors = await self._reload(author)
            except Exception:
                self._current.failed = True
                raise
            self._current.failed = bool(errors)
            for error in errors:
                log.error("the config is refused and the old one stays: %s", error)
            if not errors:
                log.info("the config is reloaded")
            return errors

    async def membership(self) -> None:
        """Take up what the passing of blocks and of time has made of the list."""
        async with self._kept.turn:
            config = self._current.now.config
            if config is not self._looked_at:
                self._may_change = await asyncio.to_thread(changes_by_itself, config)
                self._looked_at = config
            if not self._may_change:
                return
            at_ms = self._now_ms()
            if await self._writer.run(lambda c: self._is_another(c, config, at_ms)):
                await self._take(config, BY_ITSELF, Succession(self._kept.reaches or {}))

    def _is_another(self, connection: sqlite3.Connection, config: Config, at_ms: int) -> bool:
        """Whether the list is no longer the ledger's."""
        with collector_paused():
            now = listing(config, self._windows, moment(connection, config, at_ms))
            same = _keys(now.treasuries) == listed(connection)
            return not same or now.collisions != collisions_told(connection)

    def _relist(
        self,
        connection: sqlite3.Connection,
        new: Accepted,
        author: Author,
        at_ms: int,
        succession: Succession,
    ) -> Committed:
        with collector_paused():
            return relist(connection, new.config, self._windows, new.settings, author, at_ms, succession)

    async def _reload(self, author: Author) -> tuple[str, ...]:
        old = self._current.now
        try:
            config = await asyncio.to_thread(load_config, self._path, environ=self._environ)
            secrets = await asyncio.to_thread(check_secrets, config, environ=self._environ)
            if unusable := (*secrets.wrong, *secrets.not_checked):
                return tuple(map(str, unusable))
            succession = succeed(self._kept.reaches, reaches_of(config, self._environ), self._now_ms())
        except ConfigErrors as errors:
            return tuple(map(str, errors.errors))
        except SecretProblem as problem:
            return (str(problem),)
        fixed = [key for key in _AT_START_ONLY if getattr(config, key) != getattr(old.config, key)]
        if config.timing.reread != old.config.timing.reread:
            fixed.append("timing.reread")
        if fixed:
            return tuple(f"{self._path}: {key}: takes effect at a restart only" for key in fixed)
        await asyncio.to_thread(self._kept.keep, succession.reaches)
        await self._take(config, author, succession)
        self._deliveries.exchange(senders(succession.reaches, config))
        for doubt in config.doubts:
            log.warning("%s", doubt)
        return ()

    async def _take(self, config: Config, author: Author, succession: Succession) -> None:
        at_ms = self._now_ms()
        old = self._current.now.settings
        new = await asyncio.to_thread(accepted, config, old.terms.log, at_ms, old.rate)
        told, names = await self._writer.run(
            lambda c: (self._relist(c, new, author, at_ms, succession), knowledge.treasuries(c))
        )
        self._current.now = new.reaching(succession.reaches)  # at once: commits go on meanwhile
        for endpoint in told.endpoints:
            self._deliveries.ring(endpoint)
        self._watch.relist(names)


def _keys(lists: Iterable[TreasuryList]) -> set[tuple[str, ScriptHash]]:
    return {(treasury.name, script.scripthash) for treasury in lists for script in treasury.scripts}
