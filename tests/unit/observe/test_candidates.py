"""What waits to become a fact."""

from __future__ import annotations

from tests.toy.coding import Tx
from watcher.bitcoin.transactions import Transaction, TxInput, parse_transaction
from watcher.bitcoin.types import UNCONFIRMED, Outpoint, ScriptHash, Txid
from watcher.core.observation import Reading, Sighting, Trust
from watcher.observe import candidates
from watcher.observe.candidates import Candidates

SCRIPT, OTHER = ScriptHash("11" * 32), ScriptHash("22" * 32)


def sighting(number: int) -> Sighting:
    """An unconfirmed transaction."""
    tx = Tx((Outpoint(Txid(f"{number:064x}"), 0),), ((b"\x51", 1_000),))
    return Sighting(parse_transaction(tx.raw), UNCONFIRMED, Trust.REPORTED, ("a",))


def reading(script: ScriptHash, *shown: Sighting) -> Reading:
    """A history of these."""
    return Reading(script, frozenset(one.tx.txid for one in shown), None)


def test_it_stays_while_anybody_shows_it() -> None:
    held, one = Candidates(), sighting(1)
    held.add("a", one)
    held.add("b", one)
    assert held.read("a", reading(SCRIPT, one)) == []
    (gone,) = held.read("a", reading(SCRIPT))
    assert (gone.txid, gone.sources) == (one.tx.txid, {"b"})
    assert [c.txid for c in held.touched([], [SCRIPT])] == [one.tx.txid]
    (gone,) = held.read("b", reading(SCRIPT))
    assert gone.sources == set()
    assert held.touched([one.tx.txid], [SCRIPT]) == []


def test_another_scripts_history_says_nothing_of_it() -> None:
    held, one = Candidates(), sighting(1)
    held.add("a", one)
    held.read("a", reading(SCRIPT, one))
    assert held.read("a", reading(OTHER)) == []
    assert len(held.touched([one.tx.txid], [])) == 1


def test_what_is_told_names_everybody_who_shows_it() -> None:
    held, one = Candidates(), sighting(1)
    for name in ("b", "a"):
        held.add(name, one)
    (candidate,) = held.touched([one.tx.txid], [])
    told = candidate.as_told(Trust.CORROBORATED)
    assert (told.sources, told.trust) == (("a", "b"), Trust.CORROBORATED)


def test_a_sources_word_is_withdrawn_as_a_whole() -> None:
    held, one, two = Candidates(), sighting(1), sighting(2)
    held.add("a", one)
    held.add("a", two)
    held.add("b", two)
    held.withdraw("a")
    assert [c.sources for c in held.touched([one.tx.txid, two.tx.txid], [])] == [{"b"}]


def test_there_are_only_so_many() -> None:
    held = Candidates()
    first = sighting(0)
    for number in range(candidates.MOST + 1):
        held.add("a", sighting(number))
    assert held.touched([first.tx.txid], []) == []
    assert len(held.touched([sighting(1).tx.txid], [])) == 1


def test_large_ones_are_forgotten_sooner() -> None:
    held = Candidates()
    shown = []
    for number in range(100):
        coin = Outpoint(Txid(f"{number:064x}"), 0)
        tx = Tx((coin,), ((b"\x6a" + b"x" * 99_000, 0), (b"\x51", 1_000)))
        shown.append(Sighting(parse_transaction(tx.raw), UNCONFIRMED, Trust.REPORTED, ("a",)))
        held.add("a", shown[-1])
    kept = {candidate.txid for candidate in held.touched([one.tx.txid for one in shown], [])}
    assert kept == {one.tx.txid for one in shown[20:]}  # 80 of 99 kB are 8 MB
    for one in shown:
        held.forget(one.tx.txid)
    held.add("a", shown[0])
    assert held.touched([shown[0].tx.txid], [])


def witnessed(number: int, size: int) -> Sighting:
    """One with so large a witness."""
    spend = TxInput(Outpoint(Txid(f"{number:064x}"), 0), b"", 0)
    tx = Transaction(Txid(f"{number:064x}"), 2, (spend,), (), ((b"x" * size,),), 0, stripped=b"x" * 60)
    return Sighting(tx, UNCONFIRMED, Trust.REPORTED, ("a",))


def test_a_witness_in_the_place_of_another_counts_instead_of_it() -> None:
    held = Candidates()
    for _ in range(100):
        held.add("a", witnessed(1, 10))
        held.add("b", witnessed(1, 99_000))
    held.add("a", witnessed(2, 99_000))
    assert len(held.all()) == 2  # 200 kB, and not 10 MB


def test_their_witnesses_count() -> None:
    held = Candidates()
    shown = [witnessed(number, 99_000) for number in range(100)]
    for one in shown:
        held.add("a", one)
    assert held.all()[0].txid == shown[20].tx.txid  # 80 of 99 kB are 8 MB
    for one in shown:
        held.forget(one.tx.txid)
    held.add("a", shown[0])
    assert held.touched([shown[0].tx.txid], [])


def test_one_that_awaits_the_end_of_a_rival_is_looked_at_when_a_script_of_that_is_read() -> None:
    held, one, two = Candidates(), sighting(1), sighting(2)
    held.add("a", one, returns=True)
    held.add("a", two)
    (waits,) = held.touched([one.tx.txid], [])
    waits.awaits = frozenset({OTHER})
    assert (waits.returns, waits.proven) == (True, True)
    assert held.touched([], [OTHER]) == [waits]
    assert held.touched([], [SCRIPT]) == []
