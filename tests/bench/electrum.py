"""Against what a user would pick: the Electrum daemon of Debian, whose `notify` posts each change."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.bench.bare import Bare
from tests.bench.place import (
    ASKED_EVERY,
    QUIET_SECONDS,
    Watched,
    cpu_seconds,
    fresh,
    payments,
    resident_mb,
    scripts,
)
from tests.bench.result import Row, median, quantile
from tests.bench.starting import Start, ours_started
from tests.stack import debian
from tests.stack.kept import FetchError, cached, run
from tests.stack.processes import Child, until
from tests.stack.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.stack.receiver import Received
    from tests.stack.regtest import Regtest

_RANG: Final = "blockchain.scripthash.subscribe"
_SUITE: Final = "bookworm"
_MOST_OF_ELECTRUM: Final = 20_000
_PYTHON: Final = "python3.11"  # the suite's, which the packages' compiled parts are for
_NEEDED: Final = ("electrum", "python3-", "libsecp256k1", "libprotobuf")


async def against_electrum(regtest: Regtest, folder: Path, *, watched: int, samples: int) -> Row:
    """The same row as the detection's, beside a daemon that watches one address and is as idle as ours.

    It posts the address and the new status: unsigned, without amounts, once, and keeps nothing.
    """
    ours = scripts(watched, "electrum")
    (theirs,) = scripts(1, "electrum, theirs")
    sent = await payments(regtest, [*ours[:samples], *([theirs] * samples)])
    (folder / "electrum").mkdir(parents=True)
    words = await _words(folder / "electrum")
    took: list[float] = []
    electrum_took: list[float] = []
    async with Receiver() as receiver:
        place = Watched(folder, regtest.electrumx.url, ours, receiver.url)
        async with (
            place.daemon() as daemon,
            _posts() as (url, posted),
            _electrum(folder / "electrum", words, regtest.electrumx.port),
            Bare(regtest.electrumx.port) as listener,
        ):
            await _says([*words, "notify", theirs.address, url])
            await fresh(daemon, within=900)
            await listener.subscribe([theirs.scripthash, *(one.scripthash for one in ours[:samples])])
            for number in range(samples):
                await asyncio.sleep(QUIET_SECONDS)
                draft = sent[number]
                await regtest.chain.send(draft)
                rang = await listener.told(_RANG)
                webhook = await receiver.wait_for(partial(_is_about, draft.txid))
                took.append((webhook.at - rang.at) * 1000)
                await asyncio.sleep(QUIET_SECONDS)
                while not posted.empty():  # the address as it was before
                    posted.get_nowait()
                await regtest.chain.send(sent[samples + number])
                rang = await listener.told(_RANG)
                async with asyncio.timeout(30):
                    electrum_took.append((await posted.get() - rang.at) * 1000)
    await regtest.chain.mine()
    return Row(
        name=f"notification to webhook, one address among {watched:,}, beside Electrum",
        unit="ms",
        more_is_better=False,
        ours=tuple(took),
        reference="Electrum daemon's notify, one address",
        theirs=tuple(electrum_took),
        beside={"p99 ms": quantile(took, 0.99), "p99 ms of Electrum": quantile(electrum_took, 0.99)},
    )


async def start_beside_electrum(regtest: Regtest, folder: Path, *, watched: int, repeats: int) -> Row:
    """CPU of a start with nothing known, by address. Electrum has fewer: more would take it very long."""
    fewer = min(watched, _MOST_OF_ELECTRUM)
    place = Watched(folder, regtest.electrumx.url, scripts(watched, "start beside electrum"))
    addresses = [one.address for one in scripts(fewer, "start of electrum")]
    pairs = [
        (
            await ours_started(place, f"state {number}"),
            await _electrum_started(folder / f"electrum {number}", regtest.electrumx.port, addresses),
        )
        for number in range(repeats)
    ]
    return Row(
        name=f"start, {watched:,} addresses, CPU of each, beside Electrum",
        unit="µs",
        more_is_better=False,
        ours=tuple(ours.cpu / watched * 1e6 for ours, _ in pairs),
        reference=f"Electrum daemon, {fewer:,} addresses",
        theirs=tuple(electrum.cpu / fewer * 1e6 for _, electrum in pairs),
        beside={
            "seconds": median([ours.seconds for ours, _ in pairs]),
            "seconds of Electrum": median([electrum.seconds for _, electrum in pairs]),
            "MB": median([ours.resident for ours, _ in pairs]),
            "MB of Electrum": median([electrum.resident for _, electrum in pairs]),
        },
    )


def _is_about(txid: str, received: Received) -> bool:
    return received.data.get("txid") == txid


@asynccontextmanager
async def _posts() -> AsyncIterator[tuple[str, asyncio.Queue[float]]]:
    """Where to post, and when each post was read, in seconds since 1970."""
    posted: asyncio.Queue[float] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        posted.put_nowait(time.time())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", posted


async def _electrum_started(folder: Path, port: int, addresses: Sequence[str]) -> Start:
    """From exec until a wallet of these addresses has been asked for; making the wallet is not counted."""
    folder.mkdir(parents=True)
    words = await _words(folder)
    wallet = ["-w", str(folder / "wallet")]
    await _says([*words, "--offline", "restore", "-", *wallet], " ".join(addresses))

    async def synchronized() -> bool:
        return (await _says([*words, "is_synchronized", *wallet])).strip() == "true"

    began = time.monotonic()
    async with _electrum(folder, words, port) as daemon:
        await _says([*words, "load_wallet", *wallet])
        await until(synchronized, within=1_800, what="the wallet to be synchronized", every=ASKED_EVERY)
        return Start(time.monotonic() - began, cpu_seconds(daemon.pid), resident_mb(daemon.pid))


@asynccontextmanager
async def _electrum(folder: Path, words: list[str], port: int) -> AsyncIterator[Child]:
    """The daemon, connected."""
    server = ["--server", f"127.0.0.1:{port}:t", "--oneserver"]
    daemon = Child([*words, "daemon", *server], log=folder / "electrum.log", env={"HOME": str(folder)})
    daemon.start()
    try:
        await daemon.ready(partial(_connected, words), within=60)
        yield daemon
    finally:
        daemon.kill()


async def _words(folder: Path) -> list[str]:
    """How the program is called with its files in `folder`."""
    program = await asyncio.to_thread(_program)
    return [str(program), "--regtest", "-D", str(folder)]


async def _connected(words: list[str]) -> bool:
    try:
        return bool(json.loads(await _says([*words, "getinfo"]))["connected"])
    except ValueError:
        return False


async def _says(words: list[str], told: str = "") -> str:
    """What the program answers; `told` is its standard input."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate(told.encode())
    return out.decode()


def _program() -> Path:
    """The executable, from the cache; raises `FetchError`."""
    if shutil.which(_PYTHON) is None:
        raise FetchError(f"Electrum of {_SUITE} needs {_PYTHON}, which is not here")
    return cached(f"electrum-{_SUITE}", _build) / "run"


def _build(folder: Path, log: Path) -> None:
    debian.unpack(
        folder, log, _SUITE, ("electrum",), lambda names: {n for n in names if n.startswith(_NEEDED)}
    )
    (libraries,) = folder.glob("usr/lib/*-linux-gnu")
    launcher = folder / "run"
    launcher.write_text(
        '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
        'export PYTHONPATH="$here/usr/lib/python3/dist-packages"\n'
        f'export LD_LIBRARY_PATH="$here/{libraries.relative_to(folder)}"\n'
        f'exec {_PYTHON} "$here/usr/bin/electrum" "$@"\n'
    )
    launcher.chmod(0o755)
    run([str(launcher), "--offline", "version"], log, "starting Electrum")
