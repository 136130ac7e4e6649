"""Checks this evidence with nothing but Python 3.8 or newer: `python3 -I verify.py`.

Proved: these bytes are these transactions, each is in a block whose header has the work it states, these are
the scripts of these addresses, and what was paid to them less what was spent of them is the balance.
Not proved: that no transaction is missing, who holds the keys, and that these blocks are in the chain of all
others; for the last compare the printed hashes with any node or explorer.
"""

from __future__ import annotations

import csv
import hashlib
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

formats = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("formats.py"))))
sha256d = formats.sha256d
EASIEST = {  # no block's hash may be above this
    "mainnet": 0xFFFF << 208, "testnet3": 0xFFFF << 208, "testnet4": 0xFFFF << 208,
    "signet": 0x377AE << 216, "regtest": 0x7FFFFF << 232,
}  # fmt: skip


def check(folder: Path) -> tuple[list[str], list[str]]:
    """What does not hold, and what is worth knowing if all does."""
    failures = check_files(folder)
    told = json.loads((folder / "statement.json").read_text("utf-8"))
    headers = {int(row["height"]): bytes.fromhex(row["header"]) for row in rows(folder / "headers.csv")}
    failures += check_headers(headers, EASIEST[told["network"]])
    scripts = {bytes.fromhex(row["script_pubkey"]): row["address"] for row in rows(folder / "addresses.csv")}
    wrong = [text for script, text in scripts.items() if text != formats.address(script, told["network"])]
    failures += [f"{text}: it is not the address of its script" for text in wrong]
    balance, before = told["unexplained_sats"], (-1, 0)
    coins: dict[tuple[str, int], int] = {}  # what these scripts were paid and have not spent
    listed = rows(folder / "transactions.csv")
    for row in listed:
        txid, height, place = row["txid"], int(row["height"]), int(row["place"])
        raw = bytes.fromhex((folder / "transactions" / f"{txid}.hex").read_text())
        branch = (folder / "branches" / f"{txid}.txt").read_text().split()
        if sha256d(raw)[::-1].hex() != txid or len(raw) == 64:  # 64: it could be a node of the tree
            failures.append(f"transaction {txid}: its bytes are those of another")
        if height > told["height"] or formats.fold(txid, place, branch) != headers[height][36:68]:
            failures.append(f"transaction {txid}: it is not in block {height}")
        if (height, place) <= before:
            failures.append(f"transaction {txid}: it is not listed in the order of the chain")
        spends, pays = formats.parse(raw)
        paid = {(txid, n): sats for n, (sats, script) in enumerate(pays) if script in scripts}
        amount = sum(paid.values()) - sum(coins.pop(coin, 0) for coin in spends)
        balance, before = balance + amount, (height, place)
        coins.update(paid)
        if (amount, balance) != (int(row["amount_sats"]), int(row["balance_sats"])):
            failures.append(f"transaction {txid}: it moves {amount} satoshis and leaves {balance}")
    if balance != told["balance_sats"]:
        failures.append(f"balance: the transactions leave {balance} satoshis, not {told['balance_sats']}")

    said = [f"{told['title']}: {balance} satoshis at block {told['height']}, transactions: {len(listed)}"]
    if told["unexplained_sats"]:
        said.append(f"{told['unexplained_sats']} satoshis of it no transaction in here explains")
    said += [f"block {height} {sha256d(header)[::-1].hex()}" for height, header in headers.items()]
    return failures, said


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


def rows(file: Path) -> list[dict[str, str]]:
    """The lines of a CSV by its header."""
    return list(csv.DictReader(file.read_text("utf-8").splitlines()))


if __name__ == "__main__":
    try:
        failures, said = check(Path(__file__).resolve().parent)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        failures, said = [f"it cannot be read to its end: {error!r}"], []
    lines = [f"does not hold: {failure}" for failure in failures] or [*said, "all of it holds"]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(failures))
