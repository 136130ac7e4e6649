"""One canary is on its way at a time, each when it is due, and its arrival is remembered."""

from __future__ import annotations

import json

import pytest

from tests.walks.eye import Eye
from tests.walks.world import World, script
from watcher.core.outbox import Accepted, Again, Attempt, Dead, Fate, Refused
from watcher.ledger.canaries import last_arrivals, send_canary
from watcher.ledger.outbox import lease_due, record

HOUR = 3_600_000
NOW = 1_700_000_000_000


class Nest:
    """A ledger from which canaries fly to two endpoints."""

    def __init__(self) -> None:
        self.eye = Eye(World(1, {"alpha": [script("alpha 0")]}), "one")

    def send(self, at_ms: int, endpoint: str = "ops") -> bool:
        return send_canary(self.eye.connection, self.eye.settings, endpoint, HOUR, at_ms)

    def attempt(self, at_ms: int, fate: Fate, endpoint: str = "ops") -> str:
        """What is due is tried; its webhook id."""
        (delivery,) = lease_due(self.eye.connection, endpoint, at_ms, 10).deliveries
        record(self.eye.connection, [Attempt(delivery.id, at_ms, 5, "some", None, fate)])
        return delivery.webhook_id

    def arrivals(self) -> dict[str, int]:
        return dict(last_arrivals(self.eye.connection, ["ops", "second"]))

    def sent(self) -> list[str]:
        rows = self.eye.connection.execute("SELECT body FROM deliveries ORDER BY id")
        bodies = [json.loads(row["body"]) for row in rows]
        assert all(body["type"] == "watcher.canary" for body in bodies)
        return [body["data"]["endpoint"] for body in bodies]


def test_each_endpoint_gets_its_own_when_it_is_due() -> None:
    nest = Nest()
    assert nest.send(NOW)
    nest.attempt(NOW, Accepted())
    assert not nest.send(NOW + HOUR - 1)
    assert nest.send(NOW + HOUR - 1, "second")
    assert nest.send(NOW + HOUR)
    assert nest.sent() == ["ops", "second", "ops"]
    rated = nest.eye.connection.execute("SELECT DISTINCT severity FROM events WHERE type = 'watcher.canary'")
    assert [row["severity"] for row in rated] == ["none"]  # no rule is about it


def test_its_arrival_is_remembered_while_the_next_is_on_its_way() -> None:
    nest = Nest()
    nest.send(NOW)
    assert nest.arrivals() == {}
    nest.attempt(NOW + 10, Accepted())
    assert nest.arrivals() == {"ops": NOW + 15}
    nest.send(NOW + HOUR)
    assert nest.arrivals() == {"ops": NOW + 15}
    nest.attempt(NOW + HOUR, Accepted())
    assert nest.arrivals() == {"ops": NOW + HOUR + 5}


def test_one_that_waits_is_tried_again_instead_of_another() -> None:
    nest = Nest()
    nest.send(NOW)
    first = nest.attempt(NOW, Again(NOW + 10 * HOUR))
    assert nest.send(NOW + HOUR)
    assert nest.attempt(NOW + HOUR, Accepted()) == first
    assert nest.sent() == ["ops"]
    assert nest.arrivals() == {"ops": NOW + HOUR + 5}


def test_one_in_a_senders_hand_is_left_to_it() -> None:
    nest = Nest()
    nest.send(NOW)
    assert len(lease_due(nest.eye.connection, "ops", NOW, 10).deliveries) == 1
    nest.send(NOW + HOUR)
    assert nest.sent() == ["ops"]


@pytest.mark.parametrize("fate", [Dead(), Refused()])
def test_one_that_was_given_up_is_followed_by_another(fate: Fate) -> None:
    nest = Nest()
    nest.send(NOW)
    nest.attempt(NOW, fate)
    assert nest.send(NOW + HOUR)
    assert nest.sent() == ["ops", "ops"]
    assert nest.arrivals() == {}


def test_a_clock_that_was_set_back_silences_none() -> None:
    nest = Nest()
    nest.send(NOW)
    nest.attempt(NOW, Accepted())
    assert nest.send(NOW - 1_000 * HOUR)
    assert nest.sent() == ["ops", "ops"]
