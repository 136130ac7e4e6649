"""A daemon among hostile sources, a hostile receiver and hostile visitors, and how much memory it takes.

Each abuse is a function to await; it returns when the daemon has swallowed it or has hung up.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiohttp import web

from tests.daemon.places import ALPHA, Place, fresh
from tests.stack import loopback
from tests.stack.processes import until
from tests.toy.chain import ToyChain
from tests.toy.coding import Tx, scripthash
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora
from tests.toy.faults import error
from watcher.bitcoin.types import Outpoint, Txid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.stack.daemon import Daemon
    from tests.toy.client import Client

LINE: Final = 8_000_000
_TRANSACTION: Final = "blockchain.transaction.get"
_HISTORY: Final = "blockchain.scripthash.get_history"
_ASKED_AT_FIRST: Final = ("blockchain.block.headers", "blockchain.headers.subscribe")
_SUBSCRIBE: Final = "blockchain.scripthash.subscribe"
_GIGABYTE: Final = 1_000_000_000
_PIECE: Final = 1 << 16
_QUIET: Final = 1.0
_LOOKS: Final = 50  # some 20 ms apart
_A_LITTLE: Final = 2.0  # MB: what it still works on


class EndlessReceiver:
    """Says yes to every delivery, with a body of a gigabyte; `asked` and `left` count the deliveries."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = self.left = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n")
            for _ in range(_GIGABYTE // _PIECE):
                writer.write(b"x" * _PIECE)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left += 1
        finally:
            writer.transport.abort()


@dataclass
class Prey:
    """The daemon and what stands around it."""

    daemon: Daemon
    chain: ToyChain
    honest: ToyElectrum
    hostile: list[ToyElectrum]
    explorer: ToyEsplora
    receiver: EndlessReceiver

    def forget_highest(self) -> None:
        """The kernel counts the highest memory from now on (proc(5), `clear_refs`)."""
        Path(f"/proc/{self.daemon.child.pid}/clear_refs").write_text("5")

    def highest_mb(self) -> float:
        """The most that was resident since then, in millions of bytes."""
        status = Path(f"/proc/{self.daemon.child.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    async def until(self, ask: Callable[[], bool], what: str) -> None:
        """Until it is so."""

        async def asked() -> bool:
            return ask()

        await until(asked, within=180, what=what)

    async def has_swallowed(self) -> None:
        """Until all that was sent was read, and what that took has been taken."""
        clients = [client for server in self.hostile for client in server.clients]
        await self.until(lambda: all(client.unsent == 0 for client in clients), "all to be read")
        seen: list[float] = []

        def is_steady() -> bool:
            seen.append(self.highest_mb())
            return len(seen) > _LOOKS and seen[-1] - seen[-_LOOKS] < _A_LITTLE

        await self.until(is_steady, "its memory to rise no more")

    async def hung_up_on(self, connections: list[int]) -> None:
        """Until every hostile server was left, and is connected to again."""
        await self.until(
            lambda: all(
                s.connections > n and s.clients for s, n in zip(self.hostile, connections, strict=True)
            ),
            "new connections",
        )

    async def starts_anew(self) -> None:
        """The daemon, on the same ledger: nobody is in quarantine, and it connects at once."""
        await self.daemon.restart()
        await self.until(lambda: all(server.clients for server in self.hostile), "all to be connected")

    async def makes_peace(self) -> None:
        """All are honest from now on, out of quarantine, and asked."""
        for server in self.hostile:
            server.faults.answers.clear()
            server.faults.fakes.clear()
        self.honest.faults.omitted.clear()
        self.explorer.bends.clear()
        for name in (*(f"hostile{at}" for at in range(len(self.hostile))), "explorer"):
            url = f"{self.daemon.url}/api/v1/sources/{name}/release"
            await loopback.request(
                url,
                method="POST",
                body=b'{"reason": "test"}',
                headers={"content-type": "application/json"},
            )


Abuse: TypeAlias = "Callable[[Prey], Awaitable[None]]"


@asynccontextmanager
async def prey(folder: Path, hostile: int) -> AsyncIterator[Prey]:
    """All of it, fresh; so many hostile Electrum servers beside an honest one and a hostile explorer."""
    chain = ToyChain()
    receiver = EndlessReceiver()
    async with AsyncExitStack() as stack:
        honest = await stack.enter_async_context(ToyElectrum(chain))
        others = [await stack.enter_async_context(ToyElectrum(chain)) for _ in range(hostile)]
        explorer = await stack.enter_async_context(ToyEsplora(chain))
        listening = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        stack.callback(listening.close)
        receiver.port = listening.sockets[0].getsockname()[1]
        urls = {"honest": honest.url} | {f"hostile{at}": one.url for at, one in enumerate(others)}
        place = Place(folder, {**urls, "explorer": explorer.url}, f"http://127.0.0.1:{receiver.port}/hook")
        config = (
            place.config()
            .replace('name = "explorer"\nkind = "electrum"', 'name = "explorer"\nkind = "esplora"')
            .replace("[[sources]]\n", "[[sources]]\ntrusted = true\n")  # asked as fast as it answers
        )
        daemon = await stack.enter_async_context(place.daemon(config))
        await fresh(daemon)
        here = Prey(daemon, chain, honest, others, explorer, receiver)
        await here.until(lambda: all(server.clients for server in others), "all to be connected")
        yield here


# -- Electrum servers ---------------------------------------------------------------------------------


async def _to_all(here: Prey, data: bytes) -> None:
    async def send(client: Client) -> None:
        with suppress(ConnectionError):  # it may have heard enough
            await client.send_slowly(data)

    await asyncio.gather(*(send(client) for server in here.hostile for client in list(server.clients)))


async def lines_that_do_not_end(here: Prey) -> None:
    """Every server fills a line to just below what is allowed; when all have, they go on."""
    connections = [server.connections for server in here.hostile]
    await _to_all(here, b'{"id":0,"result":"' + b"x" * (LINE - 1_000))
    await _to_all(here, b"x" * 2_000)
    await here.hung_up_on(connections)


def line_of(content: bytes) -> Abuse:
    """Every server sends this line."""

    async def abuse(here: Prey) -> None:
        connections = [server.connections for server in here.hostile]
        await _to_all(here, content + b"\n")
        await here.hung_up_on(connections)

    return abuse


def _many(piece: bytes) -> bytes:
    return b"[" + b",".join([piece] * ((LINE - 100) // (len(piece) + 1))) + b"]"


def flood_of(script: str) -> Abuse:
    """200,000 notifications of the script from every server."""
    return line_of(
        b"\n".join([json.dumps({"method": _SUBSCRIBE, "params": [script, None]}).encode()] * 200_000)
    )


def answers(method: str, result: Callable[[list[Any], Any], Any]) -> Abuse:
    """Every server answers so, whenever it is asked that."""

    async def abuse(here: Prey) -> None:
        before = [server.counts[method] for server in here.hostile]
        for server in here.hostile:
            server.forge(method, result)
            if method in _ASKED_AT_FIRST:
                server.disconnect_all()
        # what the honest one has told is not asked for again
        here.honest.omit(here.chain.pay(ALPHA, 10_000))
        here.chain.mine()
        await here.until(
            lambda: any(s.counts[method] > n for s, n in zip(here.hostile, before, strict=True)),
            f"{method} to be asked",
        )
        await here.has_swallowed()

    return abuse


async def fabricated_inflows(here: Prey) -> None:
    """Transactions that nobody else has, as large as nodes relay, and more of them than anybody needs."""
    for server in here.hostile:
        _fabricate(server, 200, 99_000)
    await answers(_HISTORY, lambda _params, honest: honest)(here)


async def fabricated_inflows_one_at_a_time(here: Prey) -> None:
    """The same, four times as large, and refused as too large when several are asked for together."""
    for server in here.hostile:
        _fabricate(server, 100, 390_000)
        refused: set[str] = set()

        def refuse_once(
            params: list[Any], honest: Any, refused: set[str] = refused, server: ToyElectrum = server
        ) -> Any:
            if params[0] in server.faults.fakes and params[0] not in refused:
                refused.add(params[0])
                raise error(1, "response too large")
            return honest

        server.forge(_TRANSACTION, refuse_once)
    await answers(_HISTORY, lambda _params, honest: honest)(here)
    await here.until(lambda: all(s.counts[_TRANSACTION] > 110 for s in here.hostile), "single questions")
    await here.has_swallowed()


def _fabricate(server: ToyElectrum, number: int, size: int) -> None:
    for at in range(number):
        coin = Outpoint(Txid(f"{id(server) & 0xFFFFFFFF:056x}{at:08x}"), 0)
        fake = Tx((coin,), ((b"\x6a" + b"x" * size, 0), (ALPHA, 10_000 + at)))
        server.faults.fakes[fake.txid] = fake


def _of_many_inputs(_params: list[Any], _honest: Any) -> str:
    inputs = (Outpoint(Txid("ab" * 32), vout) for vout in range(95_000))
    return Tx(tuple(inputs), ((b"\x51", 1),)).raw.hex()


# -- explorers, receivers, visitors -------------------------------------------------------------------


def explorer_says(path: str, body: bytes, media: str = "application/json", **headers: str) -> Abuse:
    """The explorer answers this to everybody who asks that."""

    async def abuse(here: Prey) -> None:
        asked = 0

        async def bend(_request: web.Request, _honest: web.Response) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            return web.Response(body=body, content_type=media, headers=headers)

        here.explorer.bends[path] = bend
        here.chain.pay(ALPHA, 10_000)
        here.chain.pay(ALPHA, 10_000)
        here.chain.mine()
        await here.until(lambda: asked > 0, f"the explorer to be asked for {path}")
        await here.has_swallowed()

    return abuse


async def endless_answers_of_a_receiver(here: Prey) -> None:
    """A gigabyte in answer to each delivery."""
    left = here.receiver.left
    here.chain.pay(ALPHA, 70_000)
    await here.until(lambda: here.receiver.left > left, "the receiver to be left")


async def visitors(here: Prey) -> None:
    """Connections that ask nothing, headers of a megabyte, and readers that do not read."""
    host, _, port = here.daemon.url.removeprefix("http://").partition(":")
    writers = []
    for number in range(300):
        try:
            _reader, writer = await asyncio.open_connection(host, int(port), limit=1_024)
        except OSError:
            break
        writers.append(writer)
        if number % 3 == 1:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000)
        if number % 3 == 2:
            writer.write((f"GET /metrics HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n" * 50).encode())
    await asyncio.sleep(_QUIET)
    for writer in writers:
        writer.transport.abort()


ABUSES: Final[dict[str, Abuse]] = {
    "lines that do not end": lines_that_do_not_end,
    "nesting": line_of(b'{"id":0,"result":' + b"[" * (LINE - 100)),
    "nesting of objects": line_of(b'{"id":0,"x":' + b'{"a":' * ((LINE - 100) // 5)),
    "a batch of nothing": line_of(_many(b"{}")),
    "a batch of less than answers": line_of(_many(b'{"a":1}')),
    "a batch of errors": line_of(_many(b'{"error":1}')),
    "a flood of known scripts": flood_of(scripthash(ALPHA)),
    "a flood of unknown scripts": flood_of("ab" * 32),
    "a long history of nothing": answers(
        _HISTORY, lambda _p, _h: [{"tx_hash": f"{at:064x}", "height": 1} for at in range(80_000)]
    ),
    "a long history of nothing, over many blocks": answers(
        _HISTORY, lambda _p, _h: [{"tx_hash": f"{at:064x}", "height": 1 + at // 900} for at in range(80_000)]
    ),
    "a long history of nothing, in no block": answers(
        _HISTORY, lambda _p, _h: [{"tx_hash": f"{at:064x}", "height": 0} for at in range(80_000)]
    ),
    "a history of short words": answers(
        _HISTORY, lambda _p, _h: [{"tx_hash": f"{at:x}", "height": 1} for at in range(200_000)]
    ),
    "a long branch": answers(
        "blockchain.transaction.get_merkle",
        lambda _p, _h: {"merkle": ["a"] * 1_900_000, "pos": 0, "block_height": 1},
    ),
    "many headers": answers(
        "blockchain.block.headers", lambda _p, _h: {"count": 1, "max": 2016, "headers": ["a"] * 1_900_000}
    ),
    "a large header": answers(
        "blockchain.headers.subscribe", lambda _p, _h: {"height": 1, "hex": "ab" * 3_900_000}
    ),
    "a large status": answers(_SUBSCRIBE, lambda _p, _h: "ab" * 3_900_000),
    "a large transaction": answers("blockchain.transaction.get", lambda _p, _h: "ab" * 3_900_000),
    "a transaction of many inputs": answers("blockchain.transaction.get", _of_many_inputs),
    "fabricated inflows": fabricated_inflows,
    "fabricated inflows one at a time": fabricated_inflows_one_at_a_time,
    "a zipped page": explorer_says(
        "scripthash/*/txs", gzip.compress(b" " * 100_000_000), **{"content-encoding": "gzip"}
    ),
    "a page of nothing": explorer_says("scripthash/*/txs", b"[" + b" " * 15_900_000 + b"]"),
    "a page of many": explorer_says(
        "scripthash/*/txs",
        b"[" + b",".join([b'{"txid":"a","status":{"confirmed":false},"vin":[]}'] * 300_000) + b"]",
    ),
    "a transaction of many parents": explorer_says(
        "scripthash/*/txs",
        b'[{"txid":"' + b"ab" * 32 + b'","status":{"confirmed":false},"vin":['
        + b",".join([b'{"txid":"a"}'] * 1_200_000) + b"]}]",
    ),
    "a block of short words": explorer_says("block/*/txids", b"[" + b",".join([b'"ab"'] * 790_000) + b"]"),
    "endless answers of a receiver": endless_answers_of_a_receiver,
    "visitors": visitors,
}  # fmt: skip
