"""STATE/endpoints: how to reach those who are told, also those whom a new config leaves out.

Its laws:
- What the last accepted config's endpoints need to be reached is in the file before the ledger has the
  config, so that a crash between the two loses nobody.
- One that is left out, or leads elsewhere now, stays until what is owed to it is delivered or dead; of one
  that leads elsewhere the former place is another endpoint, `NAME.before.MS`: no config can name it so.
- The file is 0600, appears whole or not at all, and nothing in it is shown anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from watcher.app.reach import Reach
from watcher.ledger.files import publish
from watcher.ledger.opening import LedgerUnusableError
from watcher.ledger.outbox import give_up, never_owed, owed_endpoints
from watcher.service.numbers import counted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path
    from typing import NoReturn

    from watcher.app.current import Current
    from watcher.ledger.writer import Writer

log = logging.getLogger(__name__)

FILE: Final = "endpoints"
_BEFORE: Final = ".before."
LOOK_SECONDS: Final = 60.0
_MOST_BYTES: Final = 16 * 2**20
_decoder: Final = msgspec.json.Decoder(dict[str, Reach])


@dataclass(frozen=True, slots=True)
class Succession:
    """Who can be reached once a config is in force: `reaches` by name, its own and the former ones.

    `known` is false where nobody can say where the endpoints of the config before led.
    """

    reaches: Mapping[str, Reach]
    known: bool = True

    def moved(self, connection: sqlite3.Connection) -> dict[str, str]:
        """Former places that were not told yet that they are, and which endpoint has left them.

        Also those of a config that was written down and, by a crash, not taken into the ledger.
        """
        places = {name: name.partition(_BEFORE)[0] for name in self.reaches if _BEFORE in name}
        return {name: places[name] for name in sorted(never_owed(connection, places))}

    def lost(self, before: Collection[str]) -> list[str]:
        """Of the endpoints of the config before, those that nobody knows how to reach as they were."""
        return sorted(name for name in before if not self.known or name not in self.reaches)


def succeed(kept: Mapping[str, Reach] | None, present: Mapping[str, Reach], at_ms: int) -> Succession:
    """What follows when a config with the endpoints `present` takes over; `kept` is None where it is lost."""
    if kept is None:
        return Succession(dict(present), known=False)
    reaches: dict[str, Reach] = {}
    for name, reach in kept.items():
        if name in present and present[name].place != reach.place:
            reaches[f"{name}{_BEFORE}{at_ms}"] = reach
        else:
            reaches[name] = reach
    return Succession({**reaches, **present})


class Kept:
    """The file, and what it says; `turn` is held while a config takes over.

    `LedgerUnusableError` for one that is there and may not be read.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / FILE
        self._on_disk: bytes | None = None
        self.turn = asyncio.Lock()
        self.reaches: Mapping[str, Reach] | None = self._read()

    def _read(self) -> dict[str, Reach] | None:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MOST_BYTES)
            reaches = _decoder.decode(content)
        except FileNotFoundError:
            return None
        except OSError as error:
            # what is owed to former endpoints would be given up, and the file be overwritten
            problem = f"{self._path} cannot be read: {error.strerror}; nothing was changed"
            raise LedgerUnusableError(problem) from error
        except msgspec.DecodeError as error:
            # its text may quote a value
            log.error("%s cannot be used: %s", self._path, type(error).__name__)  # noqa: TRY400 - see above
            return None
        self._on_disk = content
        return reaches

    def keep(self, reaches: Mapping[str, Reach]) -> None:
        """Have the file say this; where the disk refuses, the old file stays until the next look."""
        self.reaches = reaches
        content = msgspec.json.encode(reaches)
        if content == self._on_disk:
            return
        partial = self._path.with_name(f"{FILE}.partial")
        try:
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            publish(partial, self._path)
        except OSError as error:
            log.error("%s cannot be written: %s", self._path, error.strerror)  # noqa: TRY400 - it says it all
            return
        self._on_disk = content


class Keeper:
    """Forgets former endpoints once nothing is owed to them, and gives up what is owed to nobody's place."""

    def __init__(self, kept: Kept, current: Current, *, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._kept = kept
        self._current = current
        self._writer = writer
        self._now_ms = now_ms
        self._bell = asyncio.Event()

    def attempted(self, endpoint: str) -> None:
        """An attempt was recorded: it may have been the last that was owed to a former endpoint."""
        if endpoint not in self._current.now.shown.endpoints:
            self._bell.set()

    async def run(self) -> NoReturn:
        """Look, for ever."""
        while True:
            self._bell.clear()
            await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._bell.wait()

    async def _look(self) -> None:
        async with self._kept.turn:
            staying, lost = await self._writer.run(self._settle)
            await asyncio.to_thread(self._kept.keep, staying)
        for endpoint, given_up in lost.items():
            log.error(
                "%s given up: nobody knows how to reach the endpoint any more",
                counted(given_up, "delivery"),
                extra={"endpoint": endpoint},
            )

    def _settle(self, connection: sqlite3.Connection) -> tuple[Mapping[str, Reach], Mapping[str, int]]:
        """Who can still be reached, and how much was given up of what is for others."""
        owed = owed_endpoints(connection)
        reaches = self._kept.reaches or {}
        needed = {*owed, *self._current.now.shown.endpoints, *Succession(reaches).moved(connection)}
        staying = {name: reach for name, reach in reaches.items() if name in needed}
        # here, on the writer's thread, so that no commit in between is for one that was just forgotten
        self._current.reach(staying)
        lost = sorted(owed - staying.keys())
        return staying, {name: give_up(connection, name, self._now_ms()) for name in lost}
