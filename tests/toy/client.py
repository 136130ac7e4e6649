"""A toy server's side of one connection."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any

from tests.toy.faults import ToyError, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.toy.electrum import ToyElectrum
    from watcher.bitcoin.types import ScriptHash

_PACKET = 1024
_HELD_SECONDS = 1.0
_PIECE = 1 << 16
_A_BATCH_SECONDS = 0.01  # under way, where they are counted: others come meanwhile
FORGETS = (1, 4, 2)  # the protocol in which unsubscribing was added


class Client:
    """Answers one client and tells it what changed; with `pads` as slowly as ElectrumX does."""

    def __init__(
        self, server: ToyElectrum, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.protocol: tuple[int, ...] | None = None
        self.tip_told: dict[str, Any] | None = None
        self.statuses: dict[ScriptHash, str | None] = {}
        self._server = server
        self._reader = reader
        self._writer = writer
        self._held = bytearray()
        self._sent = 0
        self._sent_at = 0.0
        self._release: asyncio.TimerHandle | None = None
        self._in_batches = 0  # questions under way
        self._waiting: list[tuple[str, Any]] = []  # for a method to be asked: messages that are answered then
        answers = server.answers
        self._methods: dict[str, Callable[..., Any]] = {
            "server.version": self._negotiate,
            "server.ping": lambda: None,
            "blockchain.headers.subscribe": self._watch_tip,
            "blockchain.block.header": answers.header,
            "blockchain.block.headers": self._headers,
            "blockchain.scripthash.subscribe": self._watch,
            "blockchain.scripthash.unsubscribe": self._unwatch,
            "blockchain.scripthash.get_history": answers.history,
            "blockchain.transaction.get": answers.transaction,
            "blockchain.transaction.get_merkle": answers.merkle,
        }

    async def serve(self) -> None:
        """Until the client goes or is sent away."""
        try:
            while line := await self._reader.readline():
                while self._server.faults.deaf:
                    await self._server.hears_again()
                self._receive(json.loads(line))
                await self._writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close without a word."""
        if self._release is not None:
            self._release.cancel()
        self._writer.transport.abort()

    async def send_slowly(self, data: bytes) -> None:
        """These very bytes, no faster than they are read."""
        for at in range(0, len(data), _PIECE):
            self.send(data[at : at + _PIECE])
            await self._writer.drain()

    @property
    def unsent(self) -> int:
        """Bytes that wait to be read."""
        return self._writer.transport.get_write_buffer_size()

    def quiet_for(self) -> float:
        """Seconds since the last byte was sent."""
        return asyncio.get_running_loop().time() - self._sent_at

    def send(self, data: bytes) -> None:
        """These very bytes, now."""
        self._writer.write(data)
        self._sent += len(data)
        self._sent_at = asyncio.get_running_loop().time()

    def notify(self) -> None:
        """Tell what changed since the last time, of what was asked to be told."""
        answers = self._server.answers
        if self.tip_told is not None and self.tip_told != (tip := answers.tip()):
            self.tip_told = tip
            self._tell("blockchain.headers.subscribe", [tip])
        for script, told in self.statuses.items():
            if (status := answers.status(script)) != told:
                self.statuses[script] = status
                self._tell("blockchain.scripthash.subscribe", [script, status])

    def _tell(self, method: str, params: list[Any]) -> None:
        if not self._server.faults.silent_bells:
            self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def _receive(self, message: Any) -> None:
        methods = {one["method"] for one in (message if isinstance(message, list) else [message])}
        for method, other in self._server.faults.waits_for.items():
            if method in methods:
                self._waiting.append((other, message))
                return
        self._take(message)
        ready = [held for other, held in self._waiting if other in methods]
        self._waiting = [(other, held) for other, held in self._waiting if other not in methods]
        for held in ready:
            self._take(held)

    def _take(self, message: Any) -> None:
        faults = self._server.faults
        if isinstance(message, list):
            self._server.batches += 1
            if faults.hangs_up_at_batches:
                self.hang_up()
            elif faults.refuses_batches:
                self._write(_without_id(-32600, "no batches"))
            elif faults.batch_limit is not None:
                self._receive_counted(message, faults.batch_limit)
            else:
                self._answer_batch(message)
        else:
            answer = self._answer(message)
            if not faults.stalled:
                self._write(answer)

    def _receive_counted(self, message: list[Any], limit: int) -> None:
        if self._in_batches + len(message) > limit:
            self._write(_without_id(4, "Batch limit exceeded"))
            return
        self._in_batches += len(message)

        def answer() -> None:
            self._in_batches -= len(message)
            self._answer_batch(message)

        asyncio.get_running_loop().call_later(_A_BATCH_SECONDS, answer)

    def _answer_batch(self, message: list[Any]) -> None:
        answers = [self._answer(one) for one in message]
        if not self._server.faults.stalled:
            self._write(answers)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request.get("params", [])
        self._server.counts[method] += 1
        self._server.last_ids[method] = request["id"]
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            if queued := self._server.faults.errors.get(method):
                raise queued.popleft()
            result = self._result(method, params)
            if (bend := self._server.faults.answers.get(method)) is not None:
                result = bend(params, result)
        except ToyError as refused:
            return {**answer, "error": refused.error}
        return {**answer, "result": result}

    def _result(self, method: str, params: list[Any]) -> Any:
        if self.protocol is None and method != "server.version":
            raise error(1, "use server.version to identify client")
        answer = self._methods.get(method)
        if answer is None or (method.endswith(".unsubscribe") and (self.protocol or ()) < FORGETS):
            raise error(-32601, f"unknown method {method!r}")
        try:
            inspect.signature(answer).bind(*params)
        except TypeError as wrong:
            raise error(-32602, str(wrong)) from None
        return answer(*params)

    def _watch_tip(self) -> dict[str, Any]:
        self.tip_told = self._server.answers.tip()
        return self.tip_told

    def _watch(self, script: ScriptHash) -> str | None:
        self.statuses[script] = self._server.answers.status(script)
        return self.statuses[script]

    def _unwatch(self, script: ScriptHash) -> bool:
        return self.statuses.pop(script, False) is not False

    def _headers(self, start: int, count: int) -> dict[str, Any]:
        return self._server.answers.headers(start, count, as_list=(self.protocol or ()) >= (1, 6))

    def _negotiate(self, _client_name: str, wanted: Any) -> list[str]:
        lowest, highest = (wanted, wanted) if isinstance(wanted, str) else wanted
        chosen = min(_version(highest), _version(self._server.protocol))
        if self.protocol is not None or chosen < _version(lowest):
            raise error(1, f"unsupported protocol version: {wanted}")
        self.protocol = chosen
        return [self._server.software, ".".join(map(str, chosen))]

    def _write(self, message: Any) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if not self._server.pads:
            self.send(data)
            return
        self._held += data
        self._send_held()

    def _send_held(self) -> None:
        """ElectrumX's rule: at once after a second of silence, or 1,024 bytes at a time."""
        loop = asyncio.get_running_loop()
        if self._release is not None:
            self._release.cancel()
            self._release = None
        due = self._sent_at + _HELD_SECONDS
        if self._sent < _PACKET or len(self._held) >= _PACKET or loop.time() >= due:
            held, self._held = bytes(self._held), bytearray()
            # spaces before the last bracket: the message stays what it is
            self.send(held[:-2] + b" " * max(0, _PACKET - len(held)) + held[-2:])
        else:
            self._release = loop.call_at(due, self._send_late)

    def _send_late(self) -> None:
        """Nothing has come that would have taken it along."""
        self._server.waited += 1
        self._send_held()


def _without_id(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
