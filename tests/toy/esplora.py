"""An Esplora server over a toy chain, on a real socket, that lies and fails when told to."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.toy.answers import Answers
from tests.toy.faults import Faults
from watcher.bitcoin.types import ScriptHash, Txid

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from tests.toy.chain import ToyChain

    Bend = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]

UNCONFIRMED = 50


class ToyEsplora:
    """With `blocks_a_page` 15, `html_errors` and `reversed_names` it is mempool.space's, or one's own of it.

    `faults` are those of the toy Electrum server; `counts` has the requests by their path's words (hashes
    and numbers are `*`), `bends` what becomes of an honest answer by the same words, or by `*` for all.
    """

    def __init__(
        self,
        chain: ToyChain,
        *,
        blocks_a_page: int = 10,
        txs_a_page: int = 25,
        html_errors: bool = False,
        reversed_names: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.chain = chain
        self.faults = Faults()
        self.answers = Answers(chain, self.faults)
        self.counts: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.bends: dict[str, Bend] = {}
        self.port = 0
        self._blocks = blocks_a_page
        self._txs = txs_a_page
        self._html = html_errors
        self._reversed = reversed_names
        self._tls = tls
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base of its interface."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/api"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def asked(self) -> int:
        """All requests so far."""
        return self.counts.total()

    # -- faults -----------------------------------------------------------------------------------

    def answer(self, what: str, **response: Any) -> None:
        """Give this very response to every such request from now on."""

        async def bend(_request: web.Request, _honest: web.Response) -> web.StreamResponse:
            return web.Response(**response)

        self.bends[what] = bend

    def once(self, what: str, then: Callable[[], object]) -> None:
        """After the next honest answer to this, do that."""

        async def bend(_request: web.Request, honest: web.Response) -> web.StreamResponse:
            self.bends.pop(what, None)
            then()
            return honest

        self.bends[what] = bend

    def stall(self, what: str) -> None:
        """Never answer it."""

        async def bend(_request: web.Request, honest: web.Response) -> web.StreamResponse:
            await asyncio.Event().wait()
            return honest

        self.bends[what] = bend

    def drip(self, what: str) -> None:
        """One byte at a time, forever."""

        async def bend(request: web.Request, honest: web.Response) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": honest.content_type})
            await response.prepare(request)
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)

        self.bends[what] = bend

    def cut(self, what: str) -> None:
        """Half of the body, then hang up; the length was that of the whole."""

        async def bend(request: web.Request, honest: web.Response) -> web.StreamResponse:
            body = _body(honest)
            response = web.StreamResponse(
                headers={"content-type": honest.content_type, "content-length": str(len(body))}
            )
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response

        self.bends[what] = bend

    def shorten(self, what: str) -> None:
        """Half of the body, and a length that says this was all."""

        async def bend(_request: web.Request, honest: web.Response) -> web.StreamResponse:
            body = _body(honest)
            return web.Response(body=body[: len(body) // 2], content_type=honest.content_type)

        self.bends[what] = bend

    # -- answers ----------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        words = request.match_info["path"].split("/")
        what = "/".join("*" if word.isdigit() or len(word) == 64 else word for word in words)
        self.counts[what] += 1
        self.headers.append(dict(request.headers))
        honest = self._honest(words)
        bend = self.bends.get(what) or self.bends.get("*")
        return honest if bend is None else await bend(request, honest)

    def _honest(self, words: list[str]) -> web.Response:  # noqa: PLR0911 - a table of the interface
        match words:
            case ["blocks", "tip", "hash"]:
                return web.Response(text=self.chain.blocks[self.answers.height].hash)
            case ["blocks", start] if int(start) <= self.answers.height:
                lowest = max(0, int(start) - self._blocks + 1)
                return _json([self._block(height) for height in range(int(start), lowest - 1, -1)])
            case ["block-height", height] if int(height) <= self.answers.height:
                return web.Response(text=self.chain.blocks[int(height)].hash)
            case ["block", block_hash, *rest]:
                return self._of_block(block_hash, rest)
            case ["tx", txid, rest]:
                return self._of_tx(Txid(txid), rest)
            case ["scripthash", name, *rest]:
                return self._of_script(name, rest)
            case _:
                return self._refusal(404, "not found")

    def _of_block(self, block_hash: str, rest: list[str]) -> web.Response:
        heights = [at for at, block in enumerate(self.chain.blocks) if block.hash == block_hash]
        if rest == ["status"]:
            return _json({"in_best_chain": bool(heights)})
        if not heights or heights[0] > self.answers.height:
            return self._refusal(404, "Block not found")
        if rest == ["txids"]:
            return _json(list(self.chain.blocks[heights[0]].txids))
        return _json(self._block(heights[0]))

    def _of_tx(self, txid: Txid, rest: str) -> web.Response:
        known = txid in self.chain.mempool or self.chain.height_of(txid) is not None
        height = self.chain.height_of(txid)
        if not known or txid in self.faults.omitted:
            return self._refusal(404, "Transaction not found")
        if rest == "hex":
            return web.Response(text=self.chain.transactions[txid].raw.hex())
        if height is None or rest != "merkle-proof":
            return self._refusal(404, "Transaction not found or is unconfirmed")
        return _json(self.answers.merkle(txid, height))

    def _of_script(self, name: str, rest: list[str]) -> web.Response:
        script = ScriptHash(name if self._reversed else bytes.fromhex(name)[::-1].hex())
        history = self.answers.history(script)
        confirmed = sorted(
            (line for line in history if line["height"] > 0),
            key=lambda line: (-line["height"], line["tx_hash"]),  # within a block by id, as electrs has it
        )
        unconfirmed = [line for line in history if line["height"] <= 0][::-1]
        if not rest:
            counts = {"chain_stats": len(confirmed), "mempool_stats": len(unconfirmed)}
            return _json({kind: {"tx_count": count} for kind, count in counts.items()})
        if rest == ["txs"]:
            return self._page(unconfirmed[:UNCONFIRMED] + confirmed[: self._txs])
        start = 0
        if rest[2:]:
            ids = [line["tx_hash"] for line in confirmed]
            start = ids.index(rest[2]) + 1 if rest[2] in ids else len(ids)
        return self._page(confirmed[start : start + self._txs])

    def _page(self, lines: list[dict[str, Any]]) -> web.Response:
        return _json([self._tx(Txid(line["tx_hash"]), line["height"]) for line in lines])

    def _tx(self, txid: Txid, height: int) -> dict[str, Any]:
        status: dict[str, Any] = {"confirmed": height > 0}
        if height > 0:
            status |= {"block_height": height, "block_hash": self.chain.blocks[height].hash}
        tx = self.chain.transactions[txid]
        vin = [{"txid": coin.txid, "vout": coin.vout} for coin in tx.inputs]
        return {"txid": txid, "version": 2, "locktime": 0, "vin": vin, "status": status}

    def _block(self, height: int) -> dict[str, Any]:
        header = self.chain.blocks[height].header
        version, time, bits, nonce = struct.unpack("<i64xIII", header)
        return {
            "id": self.chain.blocks[height].hash,
            "height": height,
            "version": version,
            "timestamp": time,
            "bits": bits,
            "nonce": nonce,
            "merkle_root": header[36:68][::-1].hex(),
            "previousblockhash": header[4:36][::-1].hex() if height else None,
        }

    def _refusal(self, status: int, text: str) -> web.Response:
        if self._html and status != 404:
            return web.Response(status=status, text=f"<html><h1>{text}</h1></html>", content_type="text/html")
        return web.Response(status=status, text=text)


def _json(content: Any) -> web.Response:
    return web.json_response(content)


def _body(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body
