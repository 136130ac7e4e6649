"""What the installed daemon meets in the container: an Electrum server, a receiver, and their director.

Runs inside, on the container's loopback: `python -m tests.deploy.actors`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.stack.receiver import Receiver, status
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

SCRIPT = bytes.fromhex("0014" + "11" * 20)
SATS = 70_000
ELECTRUM, RECEIVER, DIRECTOR = 50_001, 50_080, 50_099
OTHER_LOOPBACK = "127.0.0.2"


async def main() -> None:
    """Play until killed."""
    chain = ToyChain()
    electrum = ToyElectrum(chain)
    electrum.port = ELECTRUM
    receiver = Receiver(port=RECEIVER)
    relay = await asyncio.start_server(_relay, OTHER_LOOPBACK, ELECTRUM)
    async with relay, electrum, receiver:
        app = web.Application()
        app.add_routes(
            [
                web.post("/pay", lambda _: _text(chain.pay(SCRIPT, SATS))),
                web.post("/mine", lambda _: _text(str(chain.mine().height))),
                web.post("/answer/{status}", lambda request: _answer(receiver, request)),
                web.get("/received", lambda _: _received(receiver)),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", DIRECTOR).start()
        await asyncio.Event().wait()


async def _text(text: str) -> web.Response:
    return web.Response(text=text)


async def _answer(receiver: Receiver, request: web.Request) -> web.Response:
    receiver.answer = status(int(request.match_info["status"]))
    return web.Response()


async def _received(receiver: Receiver) -> web.Response:
    """What verified, retries included."""
    return web.json_response(
        [{"id": one.id, "type": one.type, "sequence": one.data.get("sequence")} for one in receiver.verified]
    )


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same server at another address of this machine."""
    there, back = await asyncio.open_connection("127.0.0.1", ELECTRUM)
    await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        to.write(data)
        await to.drain()
    to.close()


if __name__ == "__main__":
    asyncio.run(main())
