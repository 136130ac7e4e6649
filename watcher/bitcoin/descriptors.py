"""Output descriptors (BIP 380 to 389): a strict reading before embit makes the scripts.

embit accepts a wrong checksum, uncompressed keys in wpkh(), private keys and paths that no other wallet
reads, so all that is decided here. No message repeats the text it refuses: it may hold a private key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from io import BytesIO
from typing import TYPE_CHECKING, Final

from embit.base import EmbitError
from embit.descriptor import Descriptor as EmbitDescriptor
from embit.descriptor.checksum import checksum as descriptor_checksum
from embit.descriptor.miniscript import Miniscript

from watcher.bitcoin.addresses import decode_address
from watcher.bitcoin.extended_keys import MOST_DEPTH, decode_extended_key, refuse_private_keys
from watcher.bitcoin.types import Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.bitcoin.networks import Network

MOST_INDEX: Final = 2**31  # hardened from here on (BIP 32)
_LONGEST: Final = 20_000  # characters; twenty keys with origins and paths have 4,000
_LONGEST_SCRIPT: Final = 10_000  # consensus: a longer script cannot run (MAX_SCRIPT_SIZE)
_DEEPEST: Final = 128  # BIP 341: a Merkle path of a script has at most 128 steps
_MOST_BRANCHES: Final = 100
_CHARACTERS: Final = re.compile(r"[\x20-\x7e]*")
_NAME: Final = re.compile(r"([a-z_]{1,16})\(")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,2}(?=,)")
_ORIGIN: Final = re.compile(r"\[[0-9a-fA-F]{8}((?:/[0-9]{1,10}[h']?)*)\]")
_KEY: Final = re.compile(r"[0-9A-Za-z]+")
_PATH: Final = re.compile(r"((?:/(?:[0-9]{1,10}[h']?|<[0-9;h']*>))*)(/\*[h']?)?")
_STEP: Final = re.compile(r"<[^>]*>|[^/]+")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")


class _Place(Enum):
    """Where an expression stands: what may stand there, and which keys, depends on it."""

    TOP = auto()
    SH = auto()
    WSH = auto()
    TREE = auto()


_SINGLE: Final = ("pk", "pkh")
_MULTI: Final = ("multi", "sortedmulti")
_ALLOWED: Final[Mapping[_Place, frozenset[str]]] = {
    _Place.TOP: frozenset({*_SINGLE, *_MULTI, "wpkh", "sh", "wsh", "tr"}),
    _Place.SH: frozenset({*_SINGLE, *_MULTI, "wpkh", "wsh"}),
    _Place.WSH: frozenset({*_SINGLE, *_MULTI}),
    _Place.TREE: frozenset({"pk", "multi_a", "sortedmulti_a"}),
}
_MOST_KEYS: Final[Mapping[_Place, int]] = {
    _Place.TOP: 3,  # policy: more are not standard, and Bitcoin Core reads no such descriptor
    _Place.SH: 15,
    _Place.WSH: 20,  # consensus (MAX_PUBKEYS_PER_MULTISIG)
    _Place.TREE: 999,  # consensus (MAX_PUBKEYS_PER_MULTI_A)
}
_LONGEST_REDEEM: Final = 520  # consensus: sh()'s script is pushed as one element


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor that was read strictly; `text` is its one canonical form, with checksum.

    `checksum` is that of the text as it was written, whether or not it stood there (`had_checksum`).
    """

    text: str
    branches: int
    is_ranged: bool
    checksum: str
    had_checksum: bool
    kind: str
    _scripts: EmbitDescriptor | bytes = field(repr=False, compare=False)

    def script(self, branch: int, index: int) -> bytes:
        """The script_pubkey at an index of a branch; without a range every index gives the same."""
        if not (0 <= branch < self.branches and 0 <= index < MOST_INDEX):
            raise ValueError(f"no script {branch}/{index}: {self.branches} branches")
        if isinstance(self._scripts, bytes):
            return self._scripts
        # without derive() embit makes a script of the undescended keys, silently
        script: bytes = self._scripts.derive(index, branch_index=branch).script_pubkey().data
        return script


def parse_descriptor(text: str, network: Network) -> Descriptor:
    """The descriptor in `text`, its checksum held to where it has one; `Malformed` says why not."""
    if len(text) > _LONGEST or not _CHARACTERS.fullmatch(text):
        raise Malformed(f"a descriptor has at most {_LONGEST} characters, all of them plain ASCII")
    refuse_private_keys(text)
    body, mark, stated = text.partition("#")
    checksum = descriptor_checksum(body)
    if mark and checksum != stated:
        raise Malformed("the checksum after # does not match: mistyped or cut")
    canonical = body.replace("'", "h")
    reading = _Reading(body, network)
    fixed = _fixed_script(body, network)
    kind = reading.whole() if fixed is None else body.partition("(")[0]
    return Descriptor(
        text=f"{canonical}#{descriptor_checksum(canonical)}",
        branches=reading.branches,
        is_ranged=reading.is_ranged,
        checksum=checksum,
        had_checksum=bool(mark),
        kind=kind,
        _scripts=_compiled(body) if fixed is None else fixed,
    )


def _fixed_script(body: str, network: Network) -> bytes | None:
    """The script of addr() and raw() (BIP 385), which embit does not know; None for any other."""
    if body.startswith("addr(") and body.endswith(")"):
        return decode_address(body[5:-1], network)
    if not (body.startswith("raw(") and body.endswith(")")):
        return None
    content = body[4:-1]
    if not _HEX.fullmatch(content) or len(content) % 2 or len(content) > 2 * _LONGEST_SCRIPT:
        raise Malformed("raw() holds a script of 1 to 10,000 bytes in hex")
    return bytes.fromhex(content)


def _compiled(body: str) -> EmbitDescriptor:
    try:
        if body.startswith(("pk(", "multi(", "sortedmulti(")):
            # embit reads these inside sh() and wsh() only
            made = EmbitDescriptor(Miniscript.read_from(BytesIO(body.encode())), sh=False, wsh=False)
        else:
            made = EmbitDescriptor.from_string(body)
        made.derive(0, branch_index=0).script_pubkey()
    except (EmbitError, ValueError):
        # all that is left to refuse once the text has been read: a point that is not on the curve
        raise Malformed("a public key that is not on the curve: mistyped") from None
    return made


class _Reading:
    """One reading of a descriptor, from left to right."""

    def __init__(self, text: str, network: Network) -> None:
        self.text = text
        self.network = network
        self.at = 0
        self.is_ranged = False
        self._branches: set[int] = set()

    @property
    def branches(self) -> int:
        return next(iter(self._branches), 1)

    def whole(self) -> str:
        kind = self._expression(_Place.TOP)
        if self.at != len(self.text):
            raise Malformed("something stands after the last bracket")
        if len(self._branches) > 1:
            raise Malformed("its <…> do not all have the same number of branches (BIP 389)")
        return kind

    def _expression(self, place: _Place) -> str:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise Malformed(
                "an expression was expected: pkh(…), wpkh(…), sh(…), wsh(…), tr(…), addr(…), raw(…)"
            )
        name = found.group(1)
        if name not in _ALLOWED[place]:
            where = (
                ""
                if place is _Place.TOP
                else f" inside {'tr' if place is _Place.TREE else place.name.lower()}()"
            )
            raise Malformed(f"an expression that is not supported{where}")
        self.at = found.end()
        kind = self._content(name, place)
        self._expect(")")
        return kind

    def _content(self, name: str, place: _Place) -> str:
        match name:
            case "sh":
                return f"sh({self._expression(_Place.SH)})"
            case "wsh":
                return f"wsh({self._expression(_Place.WSH)})"
            case "tr":
                self._key(_Place.TREE)
                if self._skip(","):
                    self._tree(depth=0)
                    return "tr with scripts"
            case "pk" | "pkh":
                self._key(place)
            case "wpkh":
                self._key(_Place.WSH)
            case _:
                return self._multi(name, place)
        return name

    def _multi(self, name: str, place: _Place) -> str:
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise Malformed("how many signatures it needs was expected: 1 to 999, without leading zeros")
        needed = int(found.group())
        self.at = found.end()
        sizes = []
        while self._skip(","):
            sizes.append(self._key(place))
        if not needed <= len(sizes) <= _MOST_KEYS[place]:
            raise Malformed(f"{needed} of {len(sizes)} keys; there can be up to {_MOST_KEYS[place]}")
        if place is _Place.SH and 3 + sum(sizes) + len(sizes) > _LONGEST_REDEEM:
            raise Malformed(f"a script above {_LONGEST_REDEEM} bytes cannot be spent from sh()")
        return f"{needed} of {len(sizes)} {name}"

    def _tree(self, depth: int) -> None:
        if depth > _DEEPEST:
            raise Malformed(f"a tree deeper than {_DEEPEST} (BIP 341)")
        if not self._skip("{"):
            self._expression(_Place.TREE)
            return
        self._tree(depth + 1)
        self._expect(",")
        self._tree(depth + 1)
        self._expect("}")

    def _key(self, place: _Place) -> int:
        """Read a key expression; the bytes of its public key."""
        if found := _ORIGIN.match(self.text, self.at):
            _check_steps(found.group(1))
            self.at = found.end()
        key = _KEY.match(self.text, self.at)
        if key is None:
            raise Malformed("a key was expected, or its origin [fingerprint/path]")
        self.at = key.end()
        path = _PATH.match(self.text, self.at)
        assert path is not None  # it matches nothing too
        self.at = path.end()
        if self.text[self.at : self.at + 1] not in {",", ")", "}"}:
            raise Malformed("what stands after a key is no path")
        if (size := _plain_key_size(key.group(), place)) is not None:
            if path.group():
                raise Malformed("a path after a plain public key: only an extended one has children")
            return size
        extended = decode_extended_key(key.group(), self.network)
        if extended.prefix not in {"xpub", "tpub"}:
            raise Malformed(f"in a descriptor an extended key is an xpub or tpub, not a {extended.prefix}")
        self._path(path.group(1), path.group(2), depth=extended.depth)
        return 33

    def _path(self, steps: str, wildcard: str | None, *, depth: int) -> None:
        if wildcard not in {None, "/*"}:
            raise Malformed("hardened children need the private key: a public one has only /*")
        parts = _check_steps(steps)
        if "h" in steps or "'" in steps:
            raise Malformed("a hardened step after a public key: it needs the private one")
        if depth + len(parts) + (wildcard is not None) > MOST_DEPTH:
            raise Malformed(f"a key deeper than {MOST_DEPTH} (BIP 32)")
        multipaths = [part for part in parts if part.startswith("<")]
        if len(multipaths) > 1:
            raise Malformed("more than one <…> in a path (BIP 389)")
        if multipaths:
            self._branches.add(multipaths[0].count(";") + 1)
        self.is_ranged = self.is_ranged or wildcard is not None

    def _skip(self, character: str) -> bool:
        if not self.text.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def _expect(self, character: str) -> None:
        if not self._skip(character):
            raise Malformed(f"a {character} was expected")


def _plain_key_size(key: str, place: _Place) -> int | None:
    """The bytes of a public key in hex where it may stand; None where it is of another form."""
    if not _HEX.fullmatch(key):
        return None
    if len(key) == 64 and place is _Place.TREE:
        return 32
    if len(key) == 66 and key[:2] in {"02", "03"}:
        return 33
    if len(key) == 130 and key[:2] == "04":
        if place in {_Place.WSH, _Place.TREE}:
            raise Malformed("an uncompressed key: segregated witness has compressed ones only (BIP 143)")
        return 65
    if len(key) in {64, 66, 130}:
        raise Malformed("a key in hex that cannot stand here")
    return None


def _check_steps(steps: str) -> list[str]:
    """The steps of a path, every number in them below 2^31, no branch given twice."""
    parts = _STEP.findall(steps)
    for part in parts:
        numbers = part.strip("<>").split(";")
        if not all(
            number.rstrip("h'").isdigit() and int(number.rstrip("h'")) < MOST_INDEX for number in numbers
        ):
            raise Malformed("a step of a path is a number below 2147483648")
        if part.startswith("<") and not 2 <= len(set(numbers)) == len(numbers) <= _MOST_BRANCHES:
            raise Malformed(f"<…> names 2 to {_MOST_BRANCHES} different branches (BIP 389)")
    return parts
