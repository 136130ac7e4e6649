"""What of a source's readings is the quorum's word now, with what the others have said before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watcher.bitcoin.types import BlockRef, ScriptHash
    from watcher.core.observation import Reading
    from watcher.observe.attendant import Attendant
    from watcher.observe.facts import Facts
    from watcher.observe.first_reading import FirstReading
    from watcher.observe.listing import Listing
    from watcher.observe.quorum import Quorum
    from watcher.observe.testimony import Testimonies


class Hearing:
    """`ring` tells a source to look at a script again."""

    def __init__(
        self,
        attendants: Mapping[str, Attendant],
        testimonies: Testimonies,
        first_reading: FirstReading,
        ring: Callable[[str, ScriptHash], None],
    ) -> None:
        self._attendants = attendants
        self._testimonies = testimonies
        self._first_reading = first_reading
        self._ring = ring

    def readings(
        self, reader: str, facts: Facts, tip: BlockRef, listing: Listing, quorum: Quorum
    ) -> dict[ScriptHash, Reading]:
        """The readings that hold now, of those that the source has given at this tip of ours."""
        told: dict[ScriptHash, Reading] = {}
        owners = listing.treasuries
        circles = {t: self._circle(t, quorum) for t in listing.treasuries_of(facts.readings)}
        for script, reading in facts.readings.items():
            if script not in owners:
                continue  # it has left the list meanwhile
            among, up = circles[owners[script]]
            # one that will never answer for it is not waited for
            asked = [name for name in up if script not in self._attendants[name].too_busy]
            spoken = self._testimonies.about(script)
            if asked == [reader] and not spoken and quorum.suffices(asked, among):
                told[script] = reading  # there is nobody else to hear
                continue
            if script in facts.vouched and self._first_reading.vouchers(
                reader, listing, quorum, script, reading.status
            ):
                told[script] = reading  # nobody has to say it again
                continue
            self._testimonies.record(reader, reading, tip)
            is_new = script in listing.unread
            # one that is away shows nothing, and is asked when it is back; what it has read to us of a script
            # that nobody had read before it does not read again
            by = None if is_new else {*up, reader}
            merged = self._testimonies.merged(script, quorum.sufficing(among), by)
            silent = set(asked) - spoken - {reader}
            if is_new or reading.status != listing.statuses.get(script):
                for name in silent:  # is it news to them too?
                    if not (is_new and reading.status is None and self._attendants[name].is_to_tell(script)):
                        self._ring(name, script)
            # what one of them may still show is not gone; nothing is on a new script that could be
            if merged is not None and (is_new or not any(self._attendants[n].is_at(tip) for n in silent)):
                told[script] = merged
            if merged is not None or not is_new:  # what is not known yet waits for whoever comes later
                self._testimonies.settle(script, asked)
        return told

    def _circle(self, treasury: str, quorum: Quorum) -> tuple[tuple[str, ...], list[str]]:
        """The sources that may be asked for its scripts, and those of them that are up."""
        among = quorum.may_learn(treasury)
        return among, [name for name in among if self._attendants[name].is_up]
