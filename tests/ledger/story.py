"""A story that a ledger is told step by step, the same again for the same seed and from any step on.

A life opens the ledger in a file, goes on with the story, and acknowledges each commit in a file of its
own, until the story ends or the life does, in the middle of a system call. Run as a program this is a
nursery of such lives.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.ledger.lives import serve, watch_disk
from tests.stack.processes import until
from tests.walks.eye import DROPPED_AFTER_MS, FINALITY, Eye
from tests.walks.world import Block, World, script
from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import scripthash
from watcher.core.known import Terms
from watcher.core.rules import Policy
from watcher.ledger.chain import headers
from watcher.ledger.commit import Committed, Settings, commit, tell
from watcher.ledger.opening import create_or_open, path_in
from watcher.ledger.queries import log_id
from watcher.ledger.sqlite import open_reader
from watcher.ledger.watches import Listed, TreasuryList, sync
from watcher.ledger.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from watcher.core.events import Event
    from watcher.core.observation import Observation

TREASURIES = {
    "alpha": [script(f"alpha {i}") for i in range(3)],
    "beta": [script(f"beta {i}") for i in range(2)],
}
DEADLINE_SECONDS = 60  # for one commit, on a disk that refuses for a while
BEGIN_MS = 1_700_000_000_000


class Story:
    """What happens to a world, and how it is looked at."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = World(seed, TREASURIES)
        self.now_ms = BEGIN_MS
        self.step = 0

    def advance(self) -> Callable[[Eye], list[Event]]:
        """The next step; returns the way it is looked at."""
        rng = Random(f"{self.seed} {self.step}")
        if self.step:
            for _ in range(rng.choice([1, 1, 2, 3])):
                self.world.step()
        self.step += 1
        self.now_ms += 3_600_000 if rng.random() < 0.05 else 60_000
        scripts = sorted(scripthash(s) for s in self.world.ours)
        chosen = {s for s in scripts if rng.random() < 0.5} if self.step > 1 and rng.random() < 0.3 else None
        chain_first, now_ms = rng.random() < 0.2, self.now_ms

        def look(eye: Eye) -> list[Event]:
            eye.now_ms = now_ms
            # A look draws too; what happens next must not depend on how often it was looked.
            fate, self.world.rng = self.world.rng, rng
            try:
                return eye.look(chosen, chain_first=chain_first)
            finally:
                self.world.rng = fate

        return look


def told_undisturbed(seed: int, steps: int, log: str) -> list[Event]:
    """What a ledger in memory tells of the story that nothing interrupts."""
    story = Story(seed)
    eye = Eye(story.world, log)
    for _ in range(steps):
        story.advance()(eye)
    return eye.events


@dataclass
class WrittenEye(Eye):
    """An eye that writes as the daemon does: through the writer, reading with a connection of its own."""

    writer: Writer | None = None
    reader: sqlite3.Connection | None = None
    acknowledge: Callable[[list[Event]], None] = lambda _events: None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        assert self.reader is not None
        self.connection = self.reader
        terms = Terms(Network.REGTEST, self.log, FINALITY, DROPPED_AFTER_MS)
        self.settings = Settings(terms, Policy(self.rules, FINALITY, {}), "")
        self.chain = [Block(raw, height, []) for height, raw in headers(self.reader, 0, 1_000_000)]
        self.list(self.world.treasuries)

    def list(self, treasuries: dict[str, list[bytes]]) -> None:
        self.scripts = {scripthash(s): s for scripts in treasuries.values() for s in scripts}
        lists = [
            TreasuryList(name, name, "own", [Listed(scripthash(s), s, *[None] * 5) for s in scripts])
            for name, scripts in treasuries.items()
        ]
        self._write(
            lambda c: tell(
                c, self.settings, sync(c, self.settings.terms, lists, self.now_ms), (), self.now_ms
            )
        )

    def _commit(self, observation: Observation) -> list[Event]:
        return self._write(lambda c: commit(c, self.settings, observation))

    def _write(self, unit: Callable[[sqlite3.Connection], Committed]) -> list[Event]:
        assert self.writer is not None
        written = asyncio.wait_for(self.writer.run(unit), DEADLINE_SECONDS)
        events = list(self.loop.run_until_complete(written).events)
        self.events += events
        self.acknowledge(events)
        return events

    async def refused(self) -> None:
        """Wait until the writer has noticed that the disk refuses."""

        async def noticed() -> bool:
            assert self.writer is not None
            return not self.writer.writable

        await until(noticed, within=DEADLINE_SECONDS, what="the disk refuses")

    def close(self) -> None:
        """As the daemon ends: the reader first, so that the writer leaves one file."""
        assert self.writer is not None
        self.connection.close()
        self.loop.run_until_complete(self.writer.close())
        self.loop.close()


def open_eye(state: Path, story: Story, pragmas: list[str] | None = None) -> WrittenEye:
    """Open the ledger in `state` for a story that has come as far as it has."""
    connection = create_or_open(state, Network.REGTEST, story.now_ms)
    for pragma in pragmas or []:
        connection.execute(f"PRAGMA {pragma}")
    log = log_id(connection)
    writer = Writer(connection)
    return WrittenEye(
        story.world, log, now_ms=story.now_ms, writer=writer, reader=open_reader(path_in(state))
    )


@dataclass(frozen=True)
class Life:
    """A part of a story, told to the ledger in `state` from step `first` on up to step `steps`.

    With a `journal` the disk forgets, and the power is cut at operation `cut_at`; `kill_after` seconds it is
    killed from outside.
    """

    state: str
    acks: str
    seed: int
    first: int
    steps: int
    pragmas: list[str] = field(default_factory=list)
    journal: str | None = None
    cut_at: int = 0
    kill_after: float | None = None


@dataclass(frozen=True)
class Acknowledged:
    """What a life said was committed: the steps it ended, and events by sequence."""

    next_step: int
    ids: dict[int, str]


def acknowledged(acks: Path, first: int) -> Acknowledged:
    """What the acknowledgements of a life that began at step `first` say; the last may be cut short."""
    step, ids = first, {}
    for line in acks.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            said = json.loads(line)
            step = said.get("next", step)
            ids |= {int(sequence): event for sequence, event in said.get("events", {}).items()}
    return Acknowledged(step, ids)


def live(life: Life) -> None:
    """Live it."""
    if life.journal is not None:
        watch_disk(Path(life.state), Path(life.journal), life.cut_at)
    story = Story(life.seed)
    for _ in range(life.first):
        story.advance()
    acks = os.open(life.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(**what: object) -> None:
        os.write(acks, f"{json.dumps(what)}\n".encode())

    eye = open_eye(Path(life.state), story, life.pragmas)
    eye.acknowledge = lambda events: say(events={e.sequence: e.id for e in events})
    for step in range(life.first, life.steps):
        story.advance()(eye)
        say(next=step + 1)
    eye.close()


if __name__ == "__main__":
    serve(lambda request: live(Life(**request)))
