"""Whose word counts, and how much."""

from __future__ import annotations

from functools import partial

import pytest

from watcher.core.observation import Trust
from watcher.observe.quorum import Quorum, Witness, network_of, operator_of

ALL = frozenset({"alpha", "beta"})


def quorum(*, wanted: int, trusted: str = "") -> Quorum:
    """A and b are one operator's, c and d each of another; d may learn beta alone."""
    return Quorum(
        [
            Witness("a", "one", trusted == "a", ALL),
            Witness("b", "one", trusted == "b", ALL),
            Witness("c", "two", trusted == "c", ALL),
            Witness("d", "three", trusted == "d", frozenset({"beta"})),
        ],
        wanted,
    )


def test_two_of_one_operator_are_one_word() -> None:
    two = quorum(wanted=2)
    among = two.may_learn("alpha")
    assert among == ("a", "b", "c")
    assert not two.suffices(["a", "b"], among)
    assert two.suffices(["a", "c"], among)
    assert two.trust(["a", "b"]) is Trust.REPORTED
    assert two.trust(["a", "c"]) is Trust.CORROBORATED


def test_a_quorum_is_capped_at_who_may_be_asked_and_that_raises_no_trust() -> None:
    five = quorum(wanted=5)
    assert five.required(five.may_learn("alpha")) == 2
    assert five.required(five.may_learn("beta")) == 3
    assert five.required([]) == 1
    alone = Quorum([Witness("a", "one", False, ALL)], 2)
    assert alone.suffices(["a"], ["a"])
    assert alone.trust(["a"]) is Trust.REPORTED


def test_ones_own_server_suffices() -> None:
    own = quorum(wanted=2, trusted="b")
    assert own.suffices(["b"], own.may_learn("alpha"))
    assert own.trust(["b"]) is Trust.CORROBORATED
    assert not own.suffices([], own.may_learn("alpha"))


@pytest.mark.parametrize(
    ("configured", "host", "port", "operator"),
    [
        ("me", "electrum.example", 1, "me"),
        (None, "a.electrum.example", 1, "electrum.example"),
        (None, "B.Electrum.Example.", 2, "electrum.example"),
        (None, "127.0.0.1", 50001, "127.0.0.1:50001"),
        (None, "10.0.0.7", 50001, "10.0.0.7:50001"),
        (None, "::1", 50001, "::1:50001"),
        (None, "localhost", 3, "localhost:3"),
    ],
)
def test_who_runs_a_source(configured: str | None, host: str, port: int, operator: str) -> None:
    assert operator_of(configured, host, port) == operator


def test_addresses_of_one_network_are_one_operators() -> None:
    assert operator_of(None, "8.8.8.8", 1) == operator_of(None, "8.8.8.200", 2)
    assert operator_of(None, "8.8.8.8", 1) != operator_of(None, "8.8.9.8", 1)
    assert operator_of(None, "2a00:1450:1::1", 1) == operator_of(None, "2a00:1450:1:ff::2", 2)
    assert operator_of(None, "2a00:1450:1::1", 1) != operator_of(None, "2a00:1450:2::1", 1)


def placed(**where: tuple[str, str | None]) -> Quorum:
    """Each source with its operator and its network."""
    return Quorum(
        [
            Witness(name, operator, False, ALL, partial(lambda known: known, network))
            for name, (operator, network) in where.items()
        ],
        2,
    )


def test_two_operators_in_one_network_are_one_word() -> None:
    two = placed(a=("one", "4:80808"), b=("two", "4:80808"))
    assert two.independent(["a", "b"]) == 1
    assert two.trust(["a", "b"]) is Trust.REPORTED
    assert two.required(["a", "b"]) == 1  # capped, and so worth no more
    assert placed(a=("one", "4:80808"), b=("two", "4:80809")).independent(["a", "b"]) == 2
    assert placed(a=("one", None), b=("two", None)).independent(["a", "b"]) == 2


def test_the_most_sources_of_which_no_two_share_anything_are_counted() -> None:
    many = placed(a=("one", "x"), b=("one", "y"), c=("two", "y"), d=("two", "x"), e=("three", "x"))
    assert many.independent(["a", "b"]) == 1
    assert many.independent(["a", "b", "c"]) == 2  # a and c
    assert many.independent(["a", "c", "d"]) == 2
    assert many.independent("abcde") == 2
    assert many.independent(["e", "b", "nobody"]) == 2


def test_the_network_is_that_in_which_a_source_is_now() -> None:
    moving = {"a": "x", "b": "x"}
    quorum = Quorum([Witness(name, name, False, ALL, partial(moving.get, name)) for name in moving], 2)
    assert quorum.independent(["a", "b"]) == 1
    moving["b"] = "y"
    assert quorum.independent(["a", "b"]) == 2


@pytest.mark.parametrize(
    ("one", "other", "networks"),
    [
        ("8.8.8.8", "8.8.8.200", 1),
        ("8.8.8.8", "8.8.9.8", 2),
        ("2a00:1450:1::1", "2a00:1450:1:f::1", 1),
    ],
)
def test_networks_are_ranges(one: str, other: str, networks: int) -> None:
    assert len({network_of(one), network_of(other)}) == networks


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1", "192.168.0.1"])
def test_an_address_of_ones_own_says_nothing(address: str) -> None:
    assert network_of(address) is None
