"""Alertmanager's API v2, `POST /api/v2/alerts`, to each of several that know nothing of each other.

Its laws:
- An alert is told by its labels; they are closed and name no instance, so that what two daemons tell of
  the same thing is one alert.
- A delivery is done when every Alertmanager has taken it; until then it goes to all again, which changes
  nothing where it arrived before.
- An event holds for an hour from its arrival, so that a late one fires too. A condition holds until the
  event that resolves it, and is told again meanwhile: an Alertmanager that starts anew knows nothing.
- Nothing is told again after the event that ends it: at each Alertmanager the two take turns, and what holds
  is asked for in its turn. One that hangs holds up nobody else.
- Whether a condition's alert fires is decided by what holds when it is lent, not by which of the two events
  it tells: a beginning that failed and is tried again after its end resolves, and an end of what holds anew
  is kept back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from watcher.delivery.http import OverHttp
from watcher.delivery.queues import BATCH, Batch
from watcher.delivery.texts.facts import told_of
from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Delivered, Gone, Reason, Rejected, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from watcher.delivery.endpoint import Group
    from watcher.delivery.http import Poster
    from watcher.delivery.texts.facts import Told
    from watcher.delivery.texts.message import Texts

PATH: Final = "/api/v2/alerts"
EVENT_HOLDS: Final = timedelta(hours=1)
# from the last time it was told: that the watcher stands still for a while does not resolve anything
CONDITION_HOLDS: Final = timedelta(days=1)
RUNBOOKS: Final = "https://github.com/treasury-watcher/treasury-watcher/blob/main/deploy/runbooks"
# what to do stands in the description too; these say more
_RUNBOOKS: Final = {
    "TreasuryOutflow": "WatcherOutflow",
    "TreasuryCorrection": "WatcherCorrection",
    "TreasuryClaimMismatch": "WatcherClaimMismatch",
    "TreasuryStale": "WatcherTreasuryStale",
    "WatcherSource": "WatcherSourceDown",
    "WatcherDisagreement": "WatcherSourcesDisagree",
    "WatcherEndpoint": "WatcherEndpointFailing",
}
_ROOM: Final = Room(8_000)

BEGINS: Final = frozenset(
    {
        "treasury.stale", "balance.crossed", "claim.mismatched", "source.failed", "source.disagreed",
        "endpoint.failed", "watch.collided",
    }
)  # fmt: skip
ENDS: Final = frozenset(
    {
        "treasury.fresh", "balance.restored", "claim.matched", "source.recovered", "source.agreed",
        "endpoint.recovered", "watch.separated",
    }
)  # fmt: skip
# it has arrived when it is taken: it resolves at once and wakes nobody
_CANARY: Final = "watcher.canary"
_FLOWS: Final = {"inflow": "TreasuryInflow", "outflow": "TreasuryOutflow", "internal": "TreasuryInternal"}
_RUNGS: Final = frozenset({"tx.seen", "tx.confirmed", "tx.final"})
_NAMES: Final = {
    "treasury.stale": "TreasuryStale",
    "treasury.fresh": "TreasuryStale",
    "source.disagreed": "WatcherDisagreement",
    "source.agreed": "WatcherDisagreement",
    "movement.expected": "TreasuryOutflow",
}
_FAMILIES: Final = {
    "tx": "TreasuryCorrection",
    "chain": "TreasuryCorrection",
    "incident": "TreasuryCorrection",
    "claim": "TreasuryClaimMismatch",
    "source": "WatcherSource",
    "watch": "WatcherWatchList",
    "config": "WatcherWatchList",
}
# told by each daemon in its own words, or differently each time: no part of what an alert is about
_PASSING: Final = frozenset({"id", "log", "sequence", "url", "rules", "step", "fiat", "sources", "severity"})


class AlertmanagerSender(OverHttp):
    """Sends to all; `now` gives seconds since 1970."""

    def __init__(self, posters: Sequence[Poster], texts: Texts, *, now: Callable[[], float]) -> None:
        super().__init__(*posters)
        self._texts = texts
        self._now = now
        self._turns = [asyncio.Lock() for _ in posters]

    def queue(self) -> Batch:
        """All that waits at once and in order: a condition's end must not overtake its beginning."""
        return Batch()

    async def send(self, group: Group) -> Verdict:
        """One POST to each; every failure is a verdict."""
        body = self._alerts([(delivery.body, delivery.holds) for delivery in group])

        async def tell(poster: Poster, turn: asyncio.Lock) -> Verdict:
            async with turn:
                return await _post(poster, body)

        verdicts = await asyncio.gather(*map(tell, self._posters, self._turns))
        return joint_verdict(verdicts)

    async def remind(self, standing: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """Tell again what holds; whoever does not take it is told the next time."""

        async def remind(poster: Poster, turn: asyncio.Lock) -> None:
            async with turn:
                bodies = await standing()
                for start in range(0, len(bodies), BATCH):
                    await _post(
                        poster, self._alerts([(body, True) for body in bodies[start : start + BATCH]])
                    )

        await asyncio.gather(*map(remind, self._posters, self._turns))

    def _alerts(self, told: Sequence[tuple[str, bool]]) -> bytes:
        now = datetime.fromtimestamp(self._now(), UTC)
        alerts = [self._alert(body, now, holds=holds) for body, holds in told]
        return json.dumps([alert for alert in alerts if alert is not None], ensure_ascii=False).encode()

    def _alert(self, body: str, now: datetime, *, holds: bool) -> dict[str, object] | None:
        told = told_of(body)
        if holds and told.type in ENDS:
            return None
        message = self._texts.message([body], _ROOM)
        name = alert_name(told)
        alert: dict[str, object] = {
            "labels": {
                "alertname": name,
                "network": told.data.text("network") or "",
                "treasury": told.data.text("treasury") or "",  # an empty label is none
                "severity": told.severity,
                "incident": told.data.text("incident") or subject(told),
            },
            "annotations": {"summary": message.title, "description": message.body, **_runbook(name)},
            "endsAt": _instant(now + (EVENT_HOLDS if told.type not in BEGINS else CONDITION_HOLDS)),
        }
        if told.type in ENDS or told.type == _CANARY or (told.type in BEGINS and not holds):
            alert["endsAt"] = _instant(now)  # without a start: it began when the alert it ends did
        elif told.at:
            alert["startsAt"] = told.at
        if message.link is not None:
            alert["generatorURL"] = message.link
        return alert


async def _post(poster: Poster, body: bytes) -> Verdict:
    return poster.judge(await poster.post(body, {}))


def alert_name(told: Told) -> str:
    """The closed list by which routes and rules choose."""
    if told.type in _RUNGS:
        return _FLOWS.get(told.flow, "TreasuryCorrection")
    family = told.type.partition(".")[0]
    if family == "balance":
        above = told.data.text("condition") == "balance_above"
        return "TreasuryBalanceAbove" if above else "TreasuryBalanceBelow"
    return _NAMES.get(told.type) or _FAMILIES.get(family, "WatcherEndpoint")


def _runbook(name: str) -> dict[str, str]:
    runbook = _RUNBOOKS.get(name)
    return {} if runbook is None else {"runbook_url": f"{RUNBOOKS}/{runbook}.md"}


def subject(told: Told) -> str:
    """What an event without an incident is about, the same from every daemon that tells of it."""
    parts = {name: value for name, value in told.data.fields.items() if name not in _PASSING}
    canonical = json.dumps([told.type, parts], sort_keys=True)
    return f"sub_{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Delivered or gone when it is so for all; else again, after the longest that one asked for."""
    failed = [each for each in verdicts if not isinstance(each, Delivered)]
    if not failed or all(isinstance(each, Gone) for each in verdicts):
        return verdicts[0]
    retries = [each for each in failed if isinstance(each, Retry)]
    if retries:
        return max(retries, key=lambda retry: retry.after or 0.0)
    match failed[0]:
        case Gone(status=status) | Rejected(status=status):
            return Retry(Reason.STATUS_4XX, None, status)
        case other:
            return other


def _instant(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"
