"""Checks this evidence with nothing but Python 3.8 or newer: `python3 -I verify.py`.

Proved: these bytes are these transactions, each is in a block whose header has the work it states, these are
the scripts of these addresses, and what was paid to them less what was spent of them is the balance.
Not proved: that no transaction is missing, who holds the keys, and that these blocks are in the chain that
everybody uses. For the last, compare the printed block hashes with any node or explorer.
Prints a line for each thing that does not hold. Exit status: 0 when all holds, else 1.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path

# what segwit addresses begin with, the first bytes of P2PKH and P2SH addresses, the easiest target of a block
NETWORKS = {
    "mainnet": ("bc", 0, 5, 0xFFFF << 208),
    "testnet3": ("tb", 111, 196, 0xFFFF << 208),
    "testnet4": ("tb", 111, 196, 0xFFFF << 208),
    "signet": ("tb", 111, 196, 0x377AE << 216),
    "regtest": ("bcrt", 111, 196, 0x7FFFFF << 232),
}
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def sha256d(data: bytes) -> bytes:
    """Bitcoin's hash; as text it is written back to front."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def parse(raw: bytes) -> tuple[list[tuple[str, int]], list[tuple[int, bytes]]]:
    """What a transaction (without witness) spends: (txid, output); and what it pays: (satoshis, script)."""
    at = 4  # behind the version

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        if at > len(raw):
            raise ValueError("its bytes are cut off")
        return raw[at - count : at]

    def number(count: int) -> int:
        return int.from_bytes(take(count), "little")

    def size() -> int:
        first = number(1)
        return first if first < 253 else number({253: 2, 254: 4, 255: 8}[first])

    spends = []
    for _ in range(size()):
        spends.append((take(32)[::-1].hex(), number(4)))
        take(size())
        take(4)
    pays = [(number(8), take(size())) for _ in range(size())]
    take(4)
    if at != len(raw):
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
    hrp, p2pkh, p2sh, _ = NETWORKS[network]
    data = b""
    if len(script) == 25 and (script[:3], script[23:]) == (b"\x76\xa9\x14", b"\x88\xac"):
        data = bytes([p2pkh]) + script[3:23]
    elif len(script) == 23 and (script[:2], script[22:]) == (b"\xa9\x14", b"\x87"):
        data = bytes([p2sh]) + script[2:22]
    if data:
        number, text = int.from_bytes(data + sha256d(data)[:4], "big"), ""
        while number:
            number, digit = divmod(number, 58)
            text = BASE58[digit] + text
        return "1" * (len(data) - len(data.lstrip(b"\0"))) + text
    if not 4 <= len(script) <= 42 or script[0] not in (0, *range(0x51, 0x61)) or script[1] != len(script) - 2:
        return ""
    version = script[0] and script[0] - 0x50
    if version == 0 and len(script) not in (22, 34):
        return ""
    count = -(-8 * (len(script) - 2) // 5)
    bits = int.from_bytes(script[2:], "big") << 5 * count - 8 * (len(script) - 2)
    values = [version] + [bits >> 5 * (count - 1 - i) & 31 for i in range(count)]
    check = 1
    for value in [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp] + values + [0] * 6:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for i in range(5):
            check ^= GENERATORS[i] * (top >> i & 1)
    check ^= 0x2BC830A3 if version else 1
    return hrp + "1" + "".join(BECH32[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


def rows(file: Path) -> list[dict[str, str]]:
    """The lines of a CSV by its header."""
    return list(csv.DictReader(file.read_text("utf-8").splitlines()))


def check_files(folder: Path) -> list[str]:
    """What of the folder is not as SHA256SUMS lists it."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names.remove("SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    sums = (folder / "SHA256SUMS").read_bytes()
    wrong = [f"{line[66:-1]}: it is not what SHA256SUMS lists" for line in lines if line.encode() not in sums]
    return wrong + ["SHA256SUMS: it is not the list of these files"] * (sums != "".join(lines).encode())


def check_headers(headers: dict[int, bytes], easiest: int) -> list[str]:
    """Which blocks lack the work that they state, or do not follow the one before them where that is here."""
    wrong = []
    for height, header in headers.items():
        target = int.from_bytes(header[72:75], "little") << 8 * header[75] >> 24
        if len(header) != 80 or int.from_bytes(sha256d(header), "little") > min(target, easiest):
            wrong.append(f"block {height}: its header lacks the work it states")
        if height - 1 in headers and header[4:36] != sha256d(headers[height - 1]):
            wrong.append(f"block {height}: it does not follow the block before it")
    return wrong


def check(folder: Path, failures: list[str], said: list[str]) -> None:
    """Add to `failures` what does not hold, and to `said` what is worth knowing if all does."""
    failures += check_files(folder)
    told = json.loads((folder / "statement.json").read_text("utf-8"))
    headers = {int(row["height"]): bytes.fromhex(row["header"]) for row in rows(folder / "headers.csv")}
    failures += check_headers(headers, NETWORKS[told["network"]][3])
    listed = rows(folder / "addresses.csv")
    scripts = {bytes.fromhex(row["script_pubkey"]): row["address"] for row in listed}
    wrong = [text for script, text in scripts.items() if text != address(script, told["network"])]
    failures += [f"{text}: it is not the address of its script" for text in wrong]

    listed = rows(folder / "transactions.csv")
    coins: dict[tuple[str, int], int] = {}  # what these scripts were paid
    moves: dict[str, tuple[list[tuple[str, int]], list[tuple[int, bytes]]]] = {}
    for row in listed:
        txid, place, height = row["txid"], int(row["place"]), int(row["height"])
        raw = bytes.fromhex((folder / "transactions" / f"{txid}.hex").read_text())
        branch = (folder / "branches" / f"{txid}.txt").read_text().split()
        if sha256d(raw)[::-1].hex() != txid or len(raw) == 64 or txid in moves:
            failures.append(f"transaction {txid}: its bytes are those of another")
        elif height > told["height"] or fold(txid, place, branch) != headers[height][36:68]:
            failures.append(f"transaction {txid}: it is not in block {height}")
        moves[txid] = parse(raw)
        coins.update({(txid, n): sats for n, (sats, to) in enumerate(moves[txid][1]) if to in scripts})
    balance = told["unexplained_sats"]
    for row in listed:
        spends, pays = moves[row["txid"]]
        amount = sum(sats for sats, to in pays if to in scripts) - sum(coins.pop(c, 0) for c in spends)
        balance += amount
        if (amount, balance) != (int(row["amount_sats"]), int(row["balance_sats"])):
            failures.append(f"transaction {row['txid']}: it moves {amount} satoshis and leaves {balance}")
    if balance != told["balance_sats"]:
        failures.append(f"balance: the transactions leave {balance} satoshis, not {told['balance_sats']}")

    said.append(f"{told['title']}: {balance} satoshis at block {told['height']}, {len(listed)} transactions")
    if told["unexplained_sats"]:
        said.append(f"{told['unexplained_sats']} satoshis of it no transaction in here explains")
    said += [f"block {height} {sha256d(header)[::-1].hex()}" for height, header in headers.items()]


def main() -> int:
    """Check the folder named, or the one this file lies in; the exit status."""
    failures: list[str] = []
    said: list[str] = []
    try:
        check(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent, failures, said)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        failures.append(f"it cannot be read to its end: {error!r}")
    lines = [f"does not hold: {failure}" for failure in failures] or [*said, "all of it holds"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
