"""Random lives under random rules and reloads: each endpoint was sent what an oracle says and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.delivery.oracle import LOUDNESS, Oracle
from tests.ledger.test_replay import RUNGS, TREASURIES, rules
from tests.walks.eye import FINALITY, Eye
from tests.walks.world import World
from watcher.core.rules import Policy
from watcher.ledger.rungs import pass_rungs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.core.events import Event
    from watcher.core.observation import Observation

ENDPOINTS: Final = ("ops", "chat", "mail")


@dataclass
class Judged(Eye):
    """Tells an oracle of each commit."""

    oracle: Oracle = field(init=False)

    def _commit(self, observation: Observation) -> Sequence[Event]:
        if not hasattr(self, "oracle"):
            self.oracle = Oracle(FINALITY, frozenset(self.world.mempool))
        events = super()._commit(observation)
        chain = [block.hash for block in self.chain[: observation.tip.height + 1]]
        self.oracle.commit(self.settings.policy, events, chain)
        return events


def policy(rng: Random) -> Policy:
    """Random rules, to endpoints of which one may be missing."""
    present = tuple(name for name in ENDPOINTS if rng.random() < 0.8) or ENDPOINTS
    drawn = (
        replace(rule, send_to=tuple(n for n in rule.send_to if n in present) or present[:1])
        for rule in rules(rng, RUNGS)
    )
    dust = {"alpha": rng.choice([0, 1_000_000])}
    return Policy(tuple(drawn), FINALITY, dust, endpoints=present, reachable=frozenset(present))


def life(seed: int, events: int) -> tuple[Judged, int]:
    """A life of at least so many events, and how often the rules were replaced."""
    rng = Random(seed)
    world = World(seed, TREASURIES)
    eye = Judged(world, "one")
    eye.settings = replace(eye.settings, policy=policy(rng))
    eye.look()
    reloads = 0
    while len(eye.events) < events:
        if rng.random() < 0.05:
            pass_rungs(eye.connection, FINALITY)
            eye.settings = replace(eye.settings, policy=policy(rng))
            reloads += 1
        world.step()
        if rng.random() < 0.7:
            eye.look(chain_first=rng.random() < 0.2)
    eye.settle()
    return eye, reloads


@pytest.mark.parametrize(
    ("seed", "events"),
    [(1, 300), (2, 400), *(pytest.param(seed, 10_000, marks=pytest.mark.fuzz) for seed in (3, 4))],
)
def test_every_endpoint_has_what_it_must_once_and_nothing_else(seed: int, events: int) -> None:
    eye, reloads = life(seed, events)
    rows = eye.connection.execute("SELECT endpoint, webhook_id, severity FROM deliveries").fetchall()
    sent = Counter((row["endpoint"], row["webhook_id"]) for row in rows)
    assert set(sent.values()) == {1}
    loudness = {(row["endpoint"], row["webhook_id"]): LOUDNESS.index(row["severity"]) for row in rows}
    oracle = eye.oracle
    assert loudness.keys() ^ oracle.owed.keys() == set()
    assert loudness == oracle.owed
    kinds = Counter(event.type for event in eye.events)
    assert min(kinds[kind] for kind in ("tx.unconfirmed", "tx.replaced", "tx.conflicted", "tx.dropped")) > 0
    print(
        f"seed {seed}: {len(eye.events):,} events, {reloads} reloads, {len(rows):,} deliveries,"
        f" {len(oracle.corrections):,} corrections"
    )
