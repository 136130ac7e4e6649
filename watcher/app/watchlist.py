"""The watch list as it is now: memberships begin and end, and a wallet's window runs ahead of its use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from watcher.config.settings import WatchedScript
from watcher.ledger.watches import Listed, TreasuryList

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watcher.bitcoin.types import ScriptHash
    from watcher.config.settings import Config, Treasury, WalletWatch


@dataclass(frozen=True, slots=True)
class Moment:
    """What the list depends on besides the config.

    Our chain's height (None: not known yet), the instant, and which scripts have a history.
    """

    height: int | None
    at_ms: int
    used: Collection[ScriptHash]


class Collision(NamedTuple):
    """A treasury whose wallet reaches scripts of another one, the `owner`, which keeps them."""

    treasury: str
    owner: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The watch list as the ledger records it at a moment, and what of it two treasuries lay claim to."""

    treasuries: tuple[TreasuryList, ...]
    collisions: frozenset[Collision]


class Windows:
    """The scripts of wallets, derived once."""

    def __init__(self) -> None:
        # without provenance: a reload may change it, and two treasuries may have a wallet one after the other
        self._derived: dict[tuple[str, int, int], tuple[WatchedScript, ScriptHash]] = {}

    def scripts(
        self, watch: WalletWatch, treasury: Treasury, config: Config, used: Collection[ScriptHash]
    ) -> Iterator[WatchedScript]:
        """Of each branch, those up to the gap limit behind the last one that has a history."""
        for branch, ahead in enumerate(watch.wallet.window((), treasury.gap_limit)):
            index, end = 0, ahead
            while index < end:
                script, scripthash = self._script(watch, branch, index, config)
                if scripthash in used:
                    end = watch.wallet.window(((branch, index),), treasury.gap_limit)[branch]
                yield WatchedScript(script.script_pubkey, script.address, watch.provenance)
                index += 1

    def _script(
        self, watch: WalletWatch, branch: int, index: int, config: Config
    ) -> tuple[WatchedScript, ScriptHash]:
        key = (watch.wallet.descriptor, branch, index)
        if key not in self._derived:
            script = watch.script(branch, index, config.network)
            self._derived[key] = script, script.scripthash
        return self._derived[key]


def is_member(script: WatchedScript, moment: Moment) -> bool:
    """Whether the script belongs to its treasury now.

    Half-open: from its beginning on, and before its end. A height nobody knows has not been reached.
    """
    member_from, member_until = script.provenance.member_from, script.provenance.member_until
    if member_from is None and member_until is None:
        return True  # nearly all are: a long list is gone through at each start

    def reached(bound: int | datetime) -> bool:
        if isinstance(bound, int):
            return moment.height is not None and moment.height >= bound
        return datetime.fromtimestamp(moment.at_ms / 1000, UTC) >= bound

    begun = member_from is None or reached(member_from)
    ended = member_until is not None and reached(member_until)
    return begun and not ended


def changes_by_itself(config: Config) -> bool:
    """Whether blocks, time or use can change the list while the config stays."""
    return any(
        treasury.wallets
        or any(
            s.provenance.member_from is not None or s.provenance.member_until is not None
            for s in treasury.scripts
        )
        for treasury in config.treasuries
    )


def listing(config: Config, windows: Windows, moment: Moment) -> Listing:
    """The watch list now: what a wallet's window reaches and another treasury has stays with that one."""
    lists = _Lists(config, windows, moment)
    treasuries = tuple(
        TreasuryList(
            name=treasury.name,
            title=treasury.title,
            attribution=treasury.attribution,
            scripts=tuple(lists.of(treasury)),
        )
        for treasury in config.treasuries
    )
    return Listing(treasuries, frozenset(lists.collisions))


@dataclass(slots=True)
class _Lists:
    config: Config
    windows: Windows
    moment: Moment
    taken: dict[ScriptHash, str] = field(init=False)
    collisions: set[Collision] = field(default_factory=set)

    def __post_init__(self) -> None:
        # the config was refused if two of its own scripts were one: only wallets can reach another's
        has_wallets = any(treasury.wallets for treasury in self.config.treasuries)
        self.taken = {
            script.scripthash: treasury.name
            for treasury in self.config.treasuries
            for script in treasury.scripts
            if has_wallets and is_member(script, self.moment)
        }

    def of(self, treasury: Treasury) -> Iterator[Listed]:
        listed: set[ScriptHash] = set()  # what wallets reach and stands in the list besides is listed once
        for script in treasury.scripts:
            if is_member(script, self.moment):
                if treasury.wallets:
                    listed.add(script.scripthash)
                yield _entry(script, None)
        for watch in treasury.wallets:
            wallet = hashlib.sha256(watch.wallet.descriptor.encode()).hexdigest()[:16]
            for script in self.windows.scripts(watch, treasury, self.config, self.moment.used):
                if not is_member(script, self.moment):
                    continue
                owner = self.taken.setdefault(script.scripthash, treasury.name)
                if owner != treasury.name:
                    self.collisions.add(Collision(treasury.name, owner))
                elif script.scripthash not in listed:
                    listed.add(script.scripthash)
                    yield _entry(script, wallet)


def _entry(script: WatchedScript, wallet: str | None) -> Listed:
    told = script.provenance
    return Listed(
        scripthash=script.scripthash,
        script_pubkey=script.script_pubkey,
        address=script.address,
        label=told.label,
        published=None if told.published is None else told.published.isoformat(),
        published_by=told.by,
        source=told.source,
        read=None if told.read is None else told.read.isoformat(),
        licence=told.licence,
        wallet=wallet,
    )
