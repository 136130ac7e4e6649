"""What sources are worth: what they are caught at, and how far their words together reach."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watcher.ledger import knowledge
from watcher.observe.complete import together
from watcher.observe.conduct import OMITTED
from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from watcher.bitcoin.types import BlockRef
    from watcher.observe.attendant import Attendant
    from watcher.observe.doorbell import Doorbells
    from watcher.observe.facts import Facts
    from watcher.observe.jury import Jury
    from watcher.observe.testimony import Testimonies
    from watcher.observe.watch import Watch

log = logging.getLogger(__name__)


class Worth:
    """Of a watch's sources."""

    def __init__(self, watch: Watch, doorbells: Doorbells, testimonies: Testimonies, jury: Jury) -> None:
        self._watch = watch
        self._doorbells = doorbells
        self._testimonies = testimonies
        self._jury = jury

    async def hold_against_the_ledger(self, attendant: Attendant, facts: Facts, height: int) -> None:
        """A history, read at our tip, without a transaction that is proven to be in a block of ours."""
        watch = self._watch
        own: Misbehaved | None = None
        for caught in self._jury.caught():
            # told alike by enough it is what we know of the script: whoever says the same is to be read too
            for name, other in watch.attendants.items():
                other.dirty |= caught.scripts & watch.listing.of(name)
            self._doorbells.look_again(watch.attendants)
            if caught.source == attendant.name:
                own = caught.error
            else:
                self.struck(watch.attendants[caught.source], caught.error)
        if own is not None:
            raise own
        readings = facts.readings
        if not readings:
            return
        proven = await watch.ledger.run(lambda c: knowledge.proven_on(c, readings, height))
        for script, txids in proven.items():
            lacking = txids - readings[script].txids
            omitted = watch.conduct.read(attendant.name, script, lacking)
            if omitted is not None:
                raise Misbehaved(OMITTED, f"{omitted} is proven to be on a script, and not in its history")

    def struck(self, attendant: Attendant, error: Misbehaved) -> None:
        """A false answer: enough of them, and the source is not asked for a while."""
        watch = self._watch
        reason = error.reason
        log.warning(
            "source gave a false answer",
            extra={"source": attendant.name, "reason": reason, "error": str(error)},
        )
        if not watch.conduct.strike(attendant.name, reason):
            return
        log.warning(
            "source is quarantined for %d s",
            watch.conduct.quarantined_for(attendant.name),
            extra={"source": attendant.name, "reason": reason},
        )
        attendant.complete.clear()
        attendant.said.read.clear()  # what it has read to us is withdrawn, and to be read again
        self._testimonies.withdraw(attendant.name)
        self._jury.withdraw(attendant.name)

    async def now_complete(self, attendant: Attendant) -> None:
        """The source has answered for all of some treasury: perhaps that is the quorum's word now."""
        watch = self._watch
        if not attendant.dirty:
            watch.conduct.absolve(attendant.name)
        unread = watch.listing.treasuries_of(watch.listing.unread)
        moved: list[tuple[str, BlockRef, int, tuple[str, ...]]] = []
        for treasury in attendant.complete.keys() - unread:
            among = watch.quorum.may_learn(treasury)
            words = [
                watch.attendants[name].complete[treasury]
                for name in among
                if watch.attendants[name].is_up and treasury in watch.attendants[name].complete
            ]
            whole = together(watch.chain, words, watch.quorum.sufficing(among))
            if whole is None:
                continue
            before = watch.complete.get(treasury)
            watch.complete[treasury] = whole
            if before is None or before.block != whole.block:
                moved.append((treasury, whole.block, whole.at_ms, whole.sources))
        if moved:  # between blocks nothing is written: what a restart needs is at most a block old
            await watch.ledger.run(lambda c: knowledge.store_complete(c, moved))
