"""The parent's side: what is asked, within which bounds, and where the two opinions differ."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeVar

from watcher.bitcoin.networks import Network
from watcher.bitcoin.scripts import script_kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from watcher.bitcoin.wallets import Wallet

MOST_ADDRESSES: Final = 1_000  # a sample of a longer list: 0.3 ms each
MOST_WALLETS: Final = 20
FIRST_CHILDREN: Final = 5  # of each branch: 2 ms each
_MOST_BYTES: Final = 4 * 1024 * 1024  # more than a thousand times the longest answer
_CHILD: Final = Path(__file__).with_name("child.py")
_STANDARD: Final = frozenset(
    {"p2pkh", "p2sh", "p2wpkh", "p2wsh", "p2tr"}
)  # of later ones it makes wrong scripts
# the accounts of BIP 44, 49 and 84; it has no BIP 86
_ACCOUNT: Final = re.compile(
    r"(pkh|wpkh|sh\(wpkh)\((?:\[[^\]]*\])?([xt]pub[0-9A-Za-z]+)/<0;1>/\*\)\)?#[0-9a-z]{8}"
)
_WITNESS_TYPES: Final[Mapping[str, str]] = {"pkh": "legacy", "wpkh": "segwit", "sh(wpkh": "p2sh-segwit"}
T = TypeVar("T")


class NoOpinionError(Exception):
    """The child process gave no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two read differently: scripts in hex, or what bitcoinlib said instead."""

    subject: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        """Both readings, on one line."""
        return f"{self.subject}: script {self.ours} by our reading, {self.theirs} by bitcoinlib's"


async def second_opinion(
    addresses: Sequence[tuple[str, bytes]],
    wallets: Sequence[Wallet],
    network: Network,
    *,
    within: float,
) -> tuple[Difference, ...]:
    """Where bitcoinlib reads addresses (with the script we read) or wallets differently than we do.

    Of many a sample is asked, of each wallet its first scripts; forms that bitcoinlib does not know are
    left out. `NoOpinionError` where there is no answer `within` so many seconds.
    """
    asked = _sample([(a, s) for a, s in addresses if script_kind(s) in _STANDARD], MOST_ADDRESSES)
    accounts = [(wallet, found) for wallet in wallets if (found := _ACCOUNT.fullmatch(wallet.descriptor))]
    known = _sample(accounts, MOST_WALLETS)
    if not asked and not known:
        return ()
    children = [(branch, index) for branch in (0, 1) for index in range(FIRST_CHILDREN)]
    question = {
        "addresses": [(address, _their_network(address, network)) for address, _ in asked],
        "keys": [(m.group(2), _key_network(network), _WITNESS_TYPES[m.group(1)], children) for _, m in known],
    }
    ours = [(address, script.hex()) for address, script in asked]
    ours += [
        (f"{wallet.describe()}, script {branch}/{index}", wallet.script(branch, index).hex())
        for wallet, _ in known
        for branch, index in children
    ]
    answer = await _ask(question, within)
    theirs = [*answer.get("addresses", ()), *answer.get("children", ())]
    if len(theirs) != len(ours):
        raise NoOpinionError("its answer is of another length than the question")
    return tuple(
        Difference(subject, script, str(other)[:200])
        for (subject, script), other in zip(ours, theirs, strict=True)
        if script != other
    )


def _sample(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many, evenly spread: the same ones each time."""
    return items if len(items) <= most else [items[at * len(items) // most] for at in range(most)]


def _their_network(address: str, network: Network) -> str:
    """What bitcoinlib calls it; its regtest has base58 prefixes of its own, so those go by testnet."""
    if network is Network.REGTEST and address.startswith("bcrt1"):
        return "regtest"
    return _key_network(network)


def _key_network(network: Network) -> str:
    return "bitcoin" if network is Network.MAINNET else "testnet"


async def _ask(question: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
    with TemporaryDirectory(prefix="treasury-watcher-") as folder:
        try:
            async with asyncio.timeout(seconds), _child(folder) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(question).encode())
                process.stdin.write_eof()
                answer = await _read(process.stdout)
                code = await process.wait()
        except TimeoutError:
            raise NoOpinionError(f"no answer within {seconds:g} seconds") from None
        except OSError as error:
            raise NoOpinionError(f"its process: {error.strerror}") from None
    if code:
        raise NoOpinionError(f"its process ended with code {code}: is bitcoinlib installed?")
    try:
        return _mapping(json.loads(answer))
    except (ValueError, RecursionError):
        raise NoOpinionError("its answer is not JSON") from None


@asynccontextmanager
async def _child(folder: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # the home too: what is not told where to write writes there
        env={"BCL_DATA_DIR": folder, "HOME": folder},
        cwd=folder,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _read(stream: asyncio.StreamReader) -> bytes:
    received = bytearray()
    while chunk := await stream.read(65_536):
        received += chunk
        if len(received) > _MOST_BYTES:
            raise NoOpinionError(f"an answer above {_MOST_BYTES} bytes")
    return bytes(received)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(listed, list) for listed in value.values()):
        raise NoOpinionError("its answer is no table of lists")
    return value
