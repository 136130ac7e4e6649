"""How Bitcoin writes hashes, transactions, branches and addresses; any other tool can be asked for them."""

from __future__ import annotations

import hashlib
import io

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# what segwit addresses begin with, and the first bytes of P2PKH and P2SH addresses
NETWORKS = {
    "mainnet": ("bc", 0, 5),
    "testnet3": ("tb", 111, 196),
    "testnet4": ("tb", 111, 196),
    "signet": ("tb", 111, 196),
    "regtest": ("bcrt", 111, 196),
}


def sha256d(data: bytes) -> bytes:
    """Bitcoin's hash; as text it is written back to front."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def parse(raw: bytes) -> tuple[list[tuple[str, int]], list[tuple[int, bytes]]]:
    """What a transaction (without witness) spends: (txid, output); and what it pays: (satoshis, script)."""
    rest = io.BytesIO(raw)

    def take(count: int) -> bytes:
        data = rest.read(count)
        if len(data) < count:
            raise ValueError("its bytes are cut off")
        return data

    def number(count: int) -> int:
        return int.from_bytes(take(count), "little")

    def size() -> int:
        first = number(1)
        return first if first < 253 else number({253: 2, 254: 4, 255: 8}[first])

    take(4)  # the version
    spends = []
    for _ in range(size()):
        spends.append((take(32)[::-1].hex(), number(4)))
        take(size() + 4)  # the signatures and the sequence number
    pays = [(number(8), take(size())) for _ in range(size())]
    take(4)  # the lock time
    if rest.read():
        raise ValueError("its bytes go on behind its end")
    return spends, pays


def fold(txid: str, place: int, branch: list[str]) -> bytes:
    """The Merkle root of the block in which the transaction stands at this place."""
    node = bytes.fromhex(txid)[::-1]
    for sibling in (bytes.fromhex(text)[::-1] for text in branch):
        if place & 1 and sibling == node:
            return b""  # a second place for one transaction (CVE-2012-2459)
        node = sha256d(sibling + node if place & 1 else node + sibling)
        place >>= 1
    return node if place == 0 else b""


def address(script: bytes, network: str) -> str:
    """The address of a script; empty where it has none."""
    hrp, p2pkh, p2sh = NETWORKS[network]
    if len(script) == 25 and (script[:3], script[23:]) == (b"\x76\xa9\x14", b"\x88\xac"):
        return base58(bytes([p2pkh]) + script[3:23])
    if len(script) == 23 and (script[:2], script[22:]) == (b"\xa9\x14", b"\x87"):
        return base58(bytes([p2sh]) + script[2:22])
    if not 4 <= len(script) <= 42 or script[0] not in (0, *range(0x51, 0x61)) or script[1] != len(script) - 2:
        return ""
    version = script[0] and script[0] - 0x50
    return "" if version == 0 and len(script) not in (22, 34) else bech32(hrp, version, script[2:])


def base58(data: bytes) -> str:
    """With its checksum."""
    number, text = int.from_bytes(data + sha256d(data)[:4], "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def bech32(hrp: str, version: int, program: bytes) -> str:
    """With its checksum (BIP 173; BIP 350 from version 1 on)."""
    bits = "".join(f"{byte:08b}" for byte in program)
    values = [version, *(int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5))]
    check = 1
    for value in [*(ord(c) >> 5 for c in hrp), 0, *(ord(c) & 31 for c in hrp), *values, *[0] * 6]:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for i in range(5):
            check ^= GENERATORS[i] * (top >> i & 1)
    check ^= 0x2BC830A3 if version else 1
    return hrp + "1" + "".join(BECH32[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])
