"""A daemon's writer on a disk that begins to refuse in the middle of a story; a nursery of such lives."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from tests.ledger.disk import Kind
from tests.ledger.lives import CUT, refuse, serve, watch_disk
from tests.ledger.story import Story, open_eye
from watcher.ledger.queries import last_sequence

FIRST = 8  # the step from which on the disk refuses


@dataclass(frozen=True)
class Refusal:
    """The story of `seed` told to the ledger in `state` on a disk that refuses from step FIRST on.

    Operations of the `kinds` fail with `error`, after the next `passing` ones. When the writer has noticed,
    the disk takes it back, or, with `cut`, the power goes. What was seen is written to `seen`.
    """

    state: str
    journal: str
    seen: str
    seed: int
    steps: int
    kinds: list[int]
    error: int
    passing: int
    cut: bool = False
    pragmas: list[str] = field(default_factory=list)


def live(life: Refusal) -> None:
    """Live it."""
    watch_disk(Path(life.state), Path(life.journal), 0)
    story = Story(life.seed)
    eye = open_eye(Path(life.state), story, life.pragmas)
    acknowledged: dict[int, str] = {}
    eye.acknowledge = lambda events: acknowledged.update({e.sequence: e.id for e in events})

    async def take_back() -> None:
        await eye.refused()
        seen = {"acknowledged": acknowledged, "readable": last_sequence(eye.connection)}
        Path(life.seen).write_text(json.dumps(seen))
        if life.cut:
            os._exit(CUT)
        refuse(0, 0)

    noticing = eye.loop.create_task(take_back())
    for step in range(life.steps):
        if step == FIRST:
            refuse(sum(1 << Kind(kind) for kind in life.kinds), life.error, life.passing)
        story.advance()(eye)
    assert noticing.done()
    assert eye.writer is not None
    assert eye.writer.writable
    eye.close()


if __name__ == "__main__":
    serve(lambda request: live(Refusal(**request)))
