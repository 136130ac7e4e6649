"""What a config says, in one form, so that two readings of it can be compared and told apart."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from watcher.bitcoin.wallets import Wallet
from watcher.config.settings import Treasury, WatchedScript
from watcher.config.urls import Url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.config.settings import Config

# where a config and its ledger lie says nothing of what is watched, and a command may be told another place
_ELSEWHERE = frozenset({"file", "state_directory", "place", "doubts"})


_SLICE: Final = 1_000


def config_digest(config: Config) -> str:
    """SHA-256, in hex, over what the config says: where each secret is kept, and the hash of each URL."""
    return _digest(config)


def treasury_digest(treasury: Treasury) -> str:
    """SHA-256, in hex, over all that one treasury is: its list with where it comes from, and its claims."""
    return _digest(treasury)


def _digest(value: object) -> str:
    return sha256(_canonical(value)).hexdigest()


def _canonical(value: object) -> bytes:
    text = json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode()


def _in_slices(scripts: Sequence[WatchedScript]) -> str:
    """The digest of a long list; no other thread could work while all of it is put into one text."""
    hashed = sha256()
    for start in range(0, len(scripts), _SLICE):
        part = scripts[start : start + _SLICE]
        # taken apart here: to be asked what each of them is would take json twice as long
        hashed.update(_canonical([(s.script_pubkey.hex(), s.address, s.provenance) for s in part]))
    return hashed.hexdigest()


def _plain(value: object) -> object:  # noqa: PLR0911 - one for each kind of value
    match value:
        case Url():
            return sha256(value.reveal().encode()).hexdigest()
        case Wallet():
            return value.descriptor
        case WatchedScript():
            return msgspec.structs.astuple(value)
        case bytes():
            return value.hex()
        case Path():
            return str(value)
        case date():
            return value.isoformat()
        case _ if is_dataclass(value):
            said = {
                field.name: getattr(value, field.name)
                for field in fields(value)
                if field.name not in _ELSEWHERE
            }
            if isinstance(value, Treasury):
                said["scripts"] = _in_slices(value.scripts)
            return said
        case _:
            raise TypeError(type(value).__name__)
