"""Against aiorpcx, written by others: their client at the toy server, our client at their server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiorpcx

from tests.toy.answers import Answers
from tests.toy.coding import scripthash
from tests.toy.faults import Faults, ToyError
from watcher.sources.base import Claim, NotThere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import Connect
    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain
    from tests.toy.electrum import ToyElectrum

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)


class Told(aiorpcx.RPCSession):
    """A stranger's client that keeps what it is told."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.told: asyncio.Queue[tuple[str, list[Any]]] = asyncio.Queue()

    async def handle_request(self, request: Any) -> None:
        self.told.put_nowait((request.method, request.args))


async def test_a_strangers_client_takes_the_toy_for_a_server(chain: ToyChain, server: ToyElectrum) -> None:
    async with aiorpcx.connect_rs("127.0.0.1", server.port, session_factory=Told) as session:
        software, protocol = await session.send_request("server.version", ["stranger", ["1.4", "1.6"]])
        assert (software, protocol) == ("ToyElectrum 1.0", "1.6")
        tip = await session.send_request("blockchain.headers.subscribe")
        assert tip["height"] == chain.height
        assert await session.send_request("blockchain.scripthash.subscribe", [US]) is None
        paid = chain.pay(OURS, 10_000)
        async with asyncio.timeout(60):
            method, (script, status) = await session.told.get()
            assert (method, script) == ("blockchain.scripthash.subscribe", US)
            assert status is not None
            chain.mine()
            method, _params = await session.told.get()
            assert method == "blockchain.headers.subscribe"
        async with session.send_batch() as batch:
            batch.add_request("blockchain.transaction.get", [paid])
            batch.add_request("blockchain.transaction.get_merkle", [paid, chain.height])
            batch.add_request("blockchain.nonsense")
        raw, branch, error = batch.results
        assert raw == chain.transactions[paid].raw.hex()
        assert branch["pos"] == 1
        assert isinstance(error, aiorpcx.RPCError)
        server.omit(paid)
        assert await session.send_request("blockchain.scripthash.get_history", [US]) == []
        server.disconnect_all()


class Serving(aiorpcx.RPCSession):
    """A stranger's server with the toy's honest answers."""

    answers: Answers

    async def handle_request(self, request: Any) -> Any:
        answers = self.answers
        methods = {
            "server.version": lambda _name, _wanted: ["aiorpcx", "1.4.2"],
            "server.ping": lambda: None,
            "blockchain.headers.subscribe": answers.tip,
            "blockchain.block.headers": lambda start, count: answers.headers(start, count, as_list=False),
            "blockchain.scripthash.subscribe": answers.status,
            "blockchain.scripthash.get_history": answers.history,
            "blockchain.transaction.get": answers.transaction,
            "blockchain.transaction.get_merkle": answers.merkle,
        }
        try:
            return aiorpcx.handler_invocation(methods.get(request.method), request)()
        except ToyError as refused:
            raise aiorpcx.RPCError(*refused.error.values()) from None

    async def shout(self, script: str) -> None:
        await self.send_notification("blockchain.scripthash.subscribe", [script, None])


@asynccontextmanager
async def strangers_server(chain: ToyChain) -> AsyncIterator[tuple[str, list[Serving]]]:
    sessions: list[Serving] = []

    def begin(*args: Any, **named: Any) -> Serving:
        session = Serving(*args, **named)
        session.answers = Answers(chain, Faults())
        sessions.append(session)
        return session

    server = await aiorpcx.serve_rs(begin, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", sessions
    finally:
        server.close()
        for session in sessions:
            await session.close()
        await server.wait_closed()


async def test_a_strangers_server_is_understood(chain: ToyChain, bells: Bells, connect: Connect) -> None:
    async with strangers_server(chain) as (url, sessions), connect(url, bells) as source:
        paid = chain.pay(OURS, 10_000)
        chain.mine()
        assert (await source.tip()).block == chain.tip
        assert len(await source.headers(0, 500)) == chain.height + 1
        scripts = [US, *(scripthash(b"%d" % at) for at in range(600))]
        statuses = await source.watch(scripts)
        assert [script for script, status in statuses.items() if status] == [US]
        answer = await source.histories(scripts)
        assert answer.histories[US] == (Claim(paid, chain.height),)
        assert answer.statuses == statuses
        assert await source.transactions([paid]) == {paid: chain.transactions[paid].raw}
        missing = (await source.branches([(paid, 5)]))[paid]
        assert isinstance(missing, NotThere)
        await sessions[0].shout(US)
        await bells.until(lambda: bells.scripts == [US])
        assert bells.log == ["connected", "script"]
        assert source.health().protocol == "1.4.2"
