"""An operator's verbs as a daemon has them to whom nothing can happen: it knows one name of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.networks import Network
from watcher.core.rehearsal import UnknownTreasuryError
from watcher.web.verbs import Paused, Rehearsal, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.types import Sats
    from watcher.core.rehearsal import Sample

INCIDENT = f"inc_{'0' * 32}"


class StillVerbs:
    """`asked` is what was asked of it, as it understood it."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.paused: str | None = None

    async def test(self, endpoint: str) -> Verdict | Paused | None:
        self.asked.append(("test", endpoint))
        if endpoint != "ops":
            return None
        if self.paused is not None:
            return Paused(endpoint, self.paused)
        return Verdict(endpoint, "evt_1", delivered=True, outcome="delivered", status=204, took_ms=7)

    async def rehearse(self, sample: Sample) -> Sequence[Rehearsal]:
        self.asked.append(("rehearse", sample))
        if sample.treasury != "alpha":
            raise UnknownTreasuryError(sample.treasury)
        if sample.to is not None:
            decode_address(sample.to, Network.REGTEST)
        failed = Verdict("ops", "evt_2", delivered=False, outcome="timeout")
        return [Rehearsal("tx.seen", "seen", failed)]

    async def pause(self, endpoint: str, seconds: int, reason: str, by: str) -> int | None:
        self.asked.append(("pause", endpoint, seconds, reason, by))
        return 1_795_521_600_000 + seconds * 1000 if endpoint == "ops" else None

    def release(self, source: str, reason: str) -> bool | None:
        self.asked.append(("release", source, reason))
        return True if source == "home" else None

    async def trust(self, source: str, fingerprint: bytes | None) -> bool | None:
        self.asked.append(("trust", source, fingerprint))
        return fingerprint is not None if source == "home" else None

    async def note(self, incident: str, text: str, by: str) -> str | None:
        self.asked.append(("note", incident, text, by))
        return "evt_3" if incident == INCIDENT else None

    async def expect(
        self, treasury: str, to: Sequence[str], most: Sats, until_ms: int, reason: str, by: str
    ) -> str | None:
        self.asked.append(("expect", treasury, tuple(to), most, until_ms, reason, by))
        for address in to:
            decode_address(address, Network.REGTEST)
        return "evt_4" if treasury == "alpha" else None
