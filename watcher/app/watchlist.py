"""The watch list as it is now: memberships begin and end, and a wallet's window runs ahead of its use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from watcher.ledger.watches import Listed, TreasuryList

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watcher.bitcoin.types import ScriptHash
    from watcher.config.settings import Config, Treasury, WalletWatch, WatchedScript

MOST_ROUNDS: Final = 1_000  # a window grows by the gap limit a round; beyond this the rest waits for the next


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
        self._derived: dict[tuple[str, int, int], WatchedScript] = {}

    def scripts(
        self, watch: WalletWatch, treasury: Treasury, config: Config, used: Collection[ScriptHash]
    ) -> Iterator[WatchedScript]:
        """Of each branch, those up to the gap limit behind the last one that has a history."""
        counts = watch.wallet.window((), treasury.gap_limit)
        for _ in range(MOST_ROUNDS):
            at = {
                (branch, index)
                for branch, count in enumerate(counts)
                for index in range(count)
                if self._script(watch, branch, index, config).scripthash in used
            }
            grown = watch.wallet.window(at, treasury.gap_limit)
            if grown == counts:
                break
            counts = grown
        for branch, count in enumerate(counts):
            for index in range(count):
                yield self._script(watch, branch, index, config)

    def _script(self, watch: WalletWatch, branch: int, index: int, config: Config) -> WatchedScript:
        key = (watch.wallet.descriptor, branch, index)
        if key not in self._derived:
            self._derived[key] = watch.script(branch, index, config.network)
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
        or any(p.member_from is not None or p.member_until is not None for _, _, p in treasury.scripts)
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
        for script in treasury.scripts:
            if is_member(script, self.moment):
                yield _entry(script, None)
        for watch in treasury.wallets:
            wallet = hashlib.sha256(watch.wallet.descriptor.encode()).hexdigest()[:16]
            for script in self.windows.scripts(watch, treasury, self.config, self.moment.used):
                if not is_member(script, self.moment):
                    continue
                owner = self.taken.setdefault(script.scripthash, treasury.name)
                if owner == treasury.name:
                    yield _entry(script, wallet)
                else:
                    self.collisions.add(Collision(treasury.name, owner))


def _entry(script: WatchedScript, wallet: str | None) -> Listed:
    published = script.provenance.published
    return Listed(
        scripthash=script.scripthash,
        script_pubkey=script.script_pubkey,
        address=script.address,
        label=script.provenance.label,
        published=None if published is None else published.isoformat(),
        published_by=script.provenance.by,
        source=script.provenance.source,
        wallet=wallet,
    )
