"""Keys of the toy chain: their scripts, and spends of these that are signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coincurve import PrivateKey
from embit.hashes import hash160
from embit.script import Script
from embit.transaction import Transaction

from tests.toy.coding import Tx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.bitcoin.types import Outpoint


class Key:
    """Pay-to-public-key-hash of one secret."""

    def __init__(self, secret: int) -> None:
        self._secret = PrivateKey.from_int(secret)
        self._public = self._secret.public_key.format()
        self.script = b"\x76\xa9\x14" + hash160(self._public) + b"\x88\xac"

    def spend(self, coin: Outpoint, outputs: Sequence[tuple[bytes, int]], *, forged: bool = False) -> Tx:
        """A spend of one coin of the key, rightly signed or not."""
        bare = Tx((coin,), tuple(outputs))
        digest = Transaction.parse(bare.raw).sighash_legacy(0, Script(self.script))
        if forged:
            digest = bytes([digest[0] ^ 1]) + digest[1:]
        signature = self._secret.sign(digest, hasher=None) + b"\x01"
        script_sig = bytes([len(signature)]) + signature + bytes([len(self._public)]) + self._public
        return Tx(bare.inputs, bare.outputs, script_sig)


class SegwitKey:
    """Pay-to-witness-public-key-hash of one secret; each of its coins has `sats`, which BIP 143 signs."""

    def __init__(self, secret: int, sats: int) -> None:
        self._secret = PrivateKey.from_int(secret)
        self._public = self._secret.public_key.format()
        self._sats = sats
        self.script = b"\x00\x14" + hash160(self._public)

    def spend(self, coin: Outpoint, outputs: Sequence[tuple[bytes, int]], *, forged: bool = False) -> Tx:
        """A spend of one coin of the key, rightly signed or not."""
        bare = Tx((coin,), tuple(outputs))
        code = Script(b"\x76\xa9\x14" + self.script[2:] + b"\x88\xac")
        digest = Transaction.parse(bare.raw).sighash_segwit(0, code, self._sats)
        if forged:
            digest = bytes([digest[0] ^ 1]) + digest[1:]
        return Tx(
            bare.inputs,
            bare.outputs,
            witness=(self._secret.sign(digest, hasher=None) + b"\x01", self._public),
        )
