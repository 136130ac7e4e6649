"""What one source has said of its scripts: the statuses it told, and those of histories it has read to us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watcher.sources.base import Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from watcher.bitcoin.types import ScriptHash
    from watcher.observe.facts import Facts
    from watcher.observe.listing import Listing

ODD_STATUSES: Final = 3
_NEVER: Final = ""  # no status is empty


class Said:
    """`read` are the statuses of histories that it has read to us and that are not yet the quorum's word."""

    def __init__(self) -> None:
        self.read: dict[ScriptHash, str | None] = {}
        self._told: dict[ScriptHash, str | None] = {}  # for which the script is to be read
        self._unread: dict[ScriptHash, str] = {}  # of scripts never read in full, as long as nothing rang
        self._odd: dict[ScriptHash, int] = {}  # how often the history did not have that status

    def take(self, script: ScriptHash, status: str | None, listing: Listing) -> bool:
        """It has told this status; whether the script is to be read for it."""
        is_new = script in listing.unread
        if is_new and self.read.get(script, _NEVER) == status:
            return False  # it was read to us as it is now, and others have still to say the same
        if is_new and status is None:
            return True  # of nothing there is no history that could have another status
        if not is_new and status == listing.statuses.get(script):
            return False
        self._told[script] = status
        if is_new and status is not None:
            self._unread[script] = status
        return True

    def has_told(self, script: ScriptHash, status: str | None) -> bool:
        """Whether that was the script's status when it was asked, and nothing has rung since."""
        return status is not None and self._unread.get(script) == status

    def rang(self, scripts: AbstractSet[ScriptHash]) -> None:
        """What it told of these is no longer so, and a history that differs from it may be a newer one."""
        for told in (self._unread, self._told, self._odd):
            for script in scripts & told.keys():
                del told[script]

    def moved(self) -> None:
        """A new connection, or another branch: what was told before may have been told of something else."""
        self._unread.clear()

    def spare(self, script: ScriptHash) -> None:
        """Another has said it: the script need not be read here."""
        self._unread.pop(script, None)
        self._told.pop(script, None)

    def forget(self, scripts: Iterable[ScriptHash]) -> None:
        """They have left the list."""
        for script in scripts:
            for told in (self.read, self._told, self._unread, self._odd):
                told.pop(script, None)

    def heard(self, facts: Facts, listing: Listing) -> None:
        """What it has read to us is taken down."""
        for script, reading in facts.readings.items():
            self._unread.pop(script, None)
            if script in listing.unread:
                self.read[script] = reading.status
            else:
                self.read.pop(script, None)

    def judge(self, facts: Facts) -> None:
        """`Misbehaved` where a status is again and again not the one of the history that goes with it.

        Once is a race: something came between the two, and rings later.
        """
        for script, reading in facts.readings.items():
            if script not in self._told:
                continue  # it was read for another reason
            if self._told.pop(script) == reading.status or script in facts.unordered:
                self._odd.pop(script, None)
                continue
            self._odd[script] = self._odd.get(script, 0) + 1
            if self._odd[script] >= ODD_STATUSES:
                del self._odd[script]
                raise Misbehaved("status", "a status that is not the one of its history, time after time")
