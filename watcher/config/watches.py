"""From the lines people publish to the scripts that are watched, each with where it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from watcher.bitcoin.addresses import decode_address, encode_address
from watcher.bitcoin.extended_keys import refuse_private_keys
from watcher.bitcoin.types import Malformed
from watcher.bitcoin.wallets import Wallet, parse_wallet
from watcher.config.document import Place, read_text, refuse_pipe
from watcher.config.errors import ConfigError, ConfigErrors
from watcher.config.lists import Row, read_list
from watcher.config.models import WatchTable
from watcher.config.settings import Provenance, WalletWatch, WatchedScript
from watcher.config.tables import array, validated
from watcher.config.values import not_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watcher.bitcoin.networks import Network

_FORMS = ("address", "addresses_file", "descriptor", "xpub", "script")
_SEGWIT_CAPITALS = ("BC1", "TB1", "BCRT1")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){1,10000}")
_BARE_KEY = re.compile(r"[0-9A-Za-z]+")
_MOST_ROW_ERRORS = 100  # of one list: whoever has more has the wrong file

Spot: TypeAlias = Place | Row


class _Member(NamedTuple):
    """A script and where it stands; the row of a list is taken apart, as there may be 100,000 of them."""

    treasury: str
    script: WatchedScript
    at: Place | Path
    line: int = 0

    @property
    def spot(self) -> Spot:
        """Its place, for an error."""
        return Row(self.at, self.line) if isinstance(self.at, Path) else self.at


@dataclass(frozen=True, slots=True)
class Watched:
    """What one treasury watches."""

    scripts: list[WatchedScript] = field(default_factory=list)
    wallets: list[WalletWatch] = field(default_factory=list)


@dataclass(slots=True)
class WatchList:
    """All treasuries' scripts while they are read: one script belongs to one treasury at a time."""

    network: Network | None  # None: it was itself wrong, so addresses cannot be judged
    errors: list[ConfigError]
    doubts: list[ConfigError]
    _first: dict[bytes, _Member] = field(default_factory=dict)
    _later: dict[bytes, list[_Member]] = field(default_factory=dict)  # members at other times

    def of_treasury(self, treasury: str, place: Place, raw: Mapping[str, object], gap_limit: int) -> Watched:
        """What one treasury's table watches; a wallet's first scripts are among those that may collide."""
        watched = Watched()
        for spot, watch in array(raw, "watch", place, self.errors):
            table = validated(WatchTable, watch, spot, self.errors)
            if table is None or not self._is_one_thing(table, spot):
                continue
            if table.addresses_file is not None:
                file = spot.document.folder / table.addresses_file
                for row, script in self._listed(file, spot, _provenance(table)):
                    self._add(watched, _Member(treasury, script, row.file, row.line))
            elif self.network is not None:
                self._take(watched, treasury, spot, table, gap_limit, self.network)
        return watched

    def _is_one_thing(self, table: WatchTable, place: Place) -> bool:
        if len(table.model_fields_set.intersection(_FORMS)) != 1:
            self.errors.append(place.error(f"needs exactly one of {', '.join(_FORMS)}"))
            return False
        if not_after(table.member_until, table.member_from):
            self.errors.append(place.at("member_until").error("must be after member_from"))
            return False
        return any(getattr(table, form) is not None for form in _FORMS)  # else that one is wrong itself

    def _take(
        self,
        watched: Watched,
        treasury: str,
        place: Place,
        table: WatchTable,
        gap_limit: int,
        network: Network,
    ) -> None:
        """Take a watch that is one script or one wallet, or say what is wrong with it."""
        spot = place.at(next(form for form in _FORMS if getattr(table, form) is not None))
        provenance = _provenance(table)
        try:
            match _read(table, network):
                case Wallet() as wallet:
                    watch = _watch(wallet, provenance, gap_limit, network)
                    if all(self._admit(_Member(treasury, script, spot)) for script in watch.first):
                        watched.wallets.append(watch)
                case script, address:
                    listed = WatchedScript(script, address, provenance)
                    self._add(watched, _Member(treasury, listed, spot))
        except Malformed as error:
            self.errors.append(spot.error(str(error)))

    def _listed(self, file: Path, place: Place, above: Provenance) -> Iterator[tuple[Row, WatchedScript]]:
        try:
            refuse_pipe(file)
            text = read_text(file)
        except ConfigErrors as unreadable:
            self.errors.extend(
                place.at("addresses_file").error(f"{e.file}: {e.text}") for e in unreadable.errors
            )
            return
        wrong, empty = 0, True
        for entry in read_list(file, text, above):
            empty = False
            if isinstance(entry, ConfigError):
                error = entry
            elif self.network is None:
                continue
            else:
                row, address, provenance = entry
                try:
                    script = _script_of(address, self.network)
                except Malformed as malformed:
                    error = row.error(str(malformed), "address")
                else:
                    yield row, WatchedScript(script, _canonical(address), provenance)
                    continue
            self.errors.append(error)
            wrong += 1
            if wrong == _MOST_ROW_ERRORS:
                self.errors.append(
                    Row(file, error.line or 1).error("too many errors: the rest of the list was not read")
                )
                return
        if empty:
            self.doubts.append(place.at("addresses_file").error(f"{file} has a header and no address"))

    def _add(self, watched: Watched, member: _Member) -> None:
        if self._admit(member):
            watched.scripts.append(member.script)

    def _admit(self, member: _Member) -> bool:
        script = member.script.script_pubkey
        first = self._first.setdefault(script, member)
        if first is member:
            return True
        for other in (first, *self._later.get(script, ())):
            if _overlap(member.script, other.script):
                where = "in this treasury" if other.treasury == member.treasury else f'in "{other.treasury}"'
                self.errors.append(
                    member.spot.error(f"the same script is already watched {where}: {other.spot}")
                )
                return False
        self._later.setdefault(script, []).append(member)
        return True


def _read(table: WatchTable, network: Network) -> Wallet | tuple[bytes, str | None]:
    """The wallet, or the script and its address, of a watch that is no list."""
    if table.address is not None:
        refuse_private_keys(table.address)
        return _script_of(table.address, network), _canonical(table.address)
    if table.descriptor is not None:
        return parse_wallet(table.descriptor, network)
    if table.xpub is not None:
        if not _BARE_KEY.fullmatch(table.xpub):
            raise Malformed("an extended key alone: with an origin or a path it is a descriptor")
        return parse_wallet(table.xpub, network)
    if table.script is None or not _HEX.fullmatch(table.script):
        raise Malformed("a script is 1 to 10,000 bytes in hex")
    script = bytes.fromhex(table.script)
    return script, encode_address(script, network)


def _watch(wallet: Wallet, provenance: Provenance, gap_limit: int, network: Network) -> WalletWatch:
    unfilled = WalletWatch(wallet, provenance, ())
    first = [
        unfilled.script(branch, index, network)
        for branch, count in enumerate(wallet.window((), gap_limit))
        for index in range(count)
    ]
    return WalletWatch(wallet, provenance, tuple(first))


def _script_of(address: str, network: Network) -> bytes:
    """The script an address stands for, or what is wrong with it in words for who has copied it."""
    if not address.isascii():
        raise Malformed("holds a character that no address has, perhaps one that cannot be seen")
    if address[:8].lower() == "bitcoin:":
        raise Malformed("a payment URI: write the address alone, without bitcoin: and what follows ?")
    if address and address.split() != [address]:
        raise Malformed("holds a space or another blank, which no address has")
    return decode_address(address, network)


def _canonical(address: str) -> str:
    """BIP 173 allows capitals for QR codes; everywhere else an address has one form."""
    return address.lower() if address.startswith(_SEGWIT_CAPITALS) else address


def _provenance(table: WatchTable) -> Provenance:
    return Provenance(**{name: getattr(table, name) for name in Provenance._fields})


def _overlap(one: WatchedScript, other: WatchedScript) -> bool:
    """Whether both are members at once; a height and an instant cannot be compared, so they may be."""
    return not (
        not_after(one.provenance.member_until, other.provenance.member_from)
        or not_after(other.provenance.member_until, one.provenance.member_from)
    )
