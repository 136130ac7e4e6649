"""What the rules would say of a movement that did not happen: to whom, how loudly, in which words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from watcher.app.wiring import external_url
from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.transactions import TxOutput
from watcher.bitcoin.types import BlockHash, BlockRef, Txid
from watcher.core.book import Climb
from watcher.core.identity import transaction_incident
from watcher.core.journal import Journal
from watcher.core.known import Balance, Entry, Flow, Known, Member, State, Terms
from watcher.core.meaning import Destination, Meaning, Movement
from watcher.core.observation import Trust
from watcher.core.payload import body
from watcher.core.rehearsal import UnknownTreasuryError
from watcher.core.rules import Policy, decide, level_of
from watcher.delivery.texts.message import Room, Texts
from watcher.delivery.texts.words import Named

if TYPE_CHECKING:
    from watcher.config.settings import Config, Treasury
    from watcher.core.events import Event
    from watcher.core.rehearsal import Sample
    from watcher.core.rules import Notice

_ROOM: Final = Room(4_000)
_TXID: Final = Txid("00" * 32)  # of no transaction there can be
_BLOCK: Final = BlockRef(0, BlockHash("00" * 32))
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A notice, and what its endpoint would get: for a webhook the body, for people title and text."""

    notice: Notice
    kind: str
    title: str
    text: str


def rehearse(config: Config, sample: Sample, at_ms: int) -> list[Rehearsed]:
    """What the rules of `config` say of the sample, in the order of its rungs.

    UnknownTreasuryError, or Malformed where `to` is no address of this network.
    """
    treasury = next((t for t in config.treasuries if t.name == sample.treasury), None)
    if treasury is None:
        raise UnknownTreasuryError(sample.treasury)
    policy = Policy(config.rules, config.finality, {treasury.name: treasury.dust_sats})
    notices = _notices(policy, _Stage(config, treasury, sample, at_ms))
    return [_written(config, notice) for notice in notices]


class _Stage:
    """Makes the events of the sample, one rung after the other."""

    def __init__(self, config: Config, treasury: Treasury, sample: Sample, at_ms: int) -> None:
        self._sample = sample
        self._at_ms = at_ms
        self.finality = config.finality
        terms = Terms(config.network, "rehearsal", config.finality, 0)
        known = Known(terms, 0, {treasury.name: Balance(0, 0, baselined=False)}, {}, {}, {})
        self._journal = Journal(known, at_ms)
        self._meaning = _meaning(config, treasury, sample, at_ms)
        incident = transaction_incident(config.network, treasury.name, _TXID)
        self.entry = Entry(
            treasury.name, _TXID, State.HELD, sample.flow, self._meaning.amount, sample.sats, None, False,
            incident,
        )  # fmt: skip

    def levels(self, rungs: set[int]) -> list[int]:
        """The confirmations to go through."""
        at = self._sample.at
        return sorted({0, 1, *rungs, self.finality} if at is None else {level_of(at, self.finality)})

    def event(self, level: int) -> Event:
        """The event that the ledger would write at this level, or before it."""
        before = self.entry
        if level == 0:
            event_type, after = "tx.seen", replace(before, pending=before.amount)
        else:
            event_type = "tx.final" if level >= self.finality else "tx.confirmed"
            after = replace(before, confirmed=before.amount, pending=0)
        self.entry = self._journal.transaction(
            event_type,
            before,
            after,
            self._meaning,
            trust=Trust.PROVEN if level else Trust.CORROBORATED,
            sources=(),
            block=_BLOCK if level else None,
            block_time=self._at_ms // 1000 if level else None,
            confirmations=level,
        )
        return self._journal.events[-1]


def _notices(policy: Policy, stage: _Stage) -> list[Notice]:
    notices: list[Notice] = []
    rungs = {level_of(rung, policy.finality) for rule in policy.rules for rung in rule.at}
    confirmed: Event | None = None
    for level in stage.levels(rungs):
        between = 1 < level < policy.finality
        if between and confirmed is None:
            confirmed = stage.event(1)
        event = confirmed if between and confirmed is not None else stage.event(level)
        confirmed = event if level == 1 else confirmed
        entry = replace(stage.entry, level=level, confirmed_event=event.sequence)
        own = () if between else (event,)
        notices += decide(policy, own, [Climb(entry, level - 1)], {}, partial(_same, event)).notices
    return notices


def _same(event: Event, _sequence: int) -> Event:
    return event


def _meaning(config: Config, treasury: Treasury, sample: Sample, at_ms: int) -> Meaning:
    watched = treasury.initial_scripts[:2]
    members = [
        Member(
            treasury.name, w.scripthash, w.script_pubkey, w.address, w.provenance.label, _BLOCK, True, True
        )
        for w in watched
    ]
    amounts = {
        Flow.INFLOW: [sample.sats],
        Flow.OUTFLOW: [-sample.sats],
        Flow.INTERNAL: [-sample.sats, sample.sats],
    }[sample.flow]
    destinations: tuple[Destination, ...] = ()
    if sample.to is not None and sample.flow is Flow.OUTFLOW:
        paid = TxOutput(sample.sats, decode_address(sample.to, config.network))
        destinations = (Destination(paid, None),)
    days = sample.oldest_coin_days
    return Meaning(
        flow=sample.flow,
        amount={Flow.INFLOW: sample.sats, Flow.OUTFLOW: -sample.sats, Flow.INTERNAL: 0}[sample.flow],
        moved=sample.sats,
        fee=None,
        mixed=False,
        movements=tuple(Movement(*pair) for pair in zip(members, amounts, strict=False)),
        destinations=destinations,
        counterparties=(),
        oldest_coin_time=None if days is None else at_ms // 1000 - days * _DAY,
        first_spend=sample.first_spend,
    )


def _written(config: Config, notice: Notice) -> Rehearsed:
    endpoint = next(e for e in config.endpoints if e.name == notice.endpoint)
    text = body(notice, external_url(config))
    texts = Texts(endpoint.lang, {t.name: Named(t.title, t.attribution) for t in config.treasuries})
    message = texts.message([text], _ROOM)
    if endpoint.kind == "webhook":
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        return Rehearsed(notice, endpoint.kind, message.title, text)
    return Rehearsed(notice, endpoint.kind, message.title, message.body)
