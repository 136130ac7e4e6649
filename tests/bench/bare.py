"""A client that only asks: the least that anybody pays for the same answers. It proves and keeps nothing.

As a program (`python -m tests.bench.bare PORT FILE [--histories]`) it subscribes to the scripthashes in
the file, one a line, and with `--histories` fetches history, transactions and branches of those that
have any; then it prints its CPU seconds and its memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Question: TypeAlias = tuple[Any, ...]  # the method, then its parameters

A_BATCH: Final = 500
AT_ONCE: Final = 4
_LINE_BYTES: Final = 50_000_000
# ElectrumX holds an answer of less than 1,024 bytes back for up to a second: this one goes with it
_COMPANION: Final = ("blockchain.block.headers", 0, 14)
_LARGE_BATCH: Final = 30
_PING: Final = ("server.ping",)


@dataclass(frozen=True, slots=True)
class Note:
    """A notification and when it was read, in seconds since 1970."""

    at: float
    method: str
    params: list[Any]


class Bare:
    """`async with Bare(port) as bare`: connected and greeted. Notifications queue up in `notes`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.notes: asyncio.Queue[Note] = asyncio.Queue()
        self._ids = 0
        self._waiting: dict[int, asyncio.Future[list[Any]]] = {}

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LINE_BYTES)
        self._listening = asyncio.create_task(self._listen())
        await self.ask([("server.version", "bench", ["1.4", "1.6"])])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        self._writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await self._listening
        with suppress(OSError):
            await self._writer.wait_closed()

    async def ask(self, questions: Sequence[Question]) -> list[Any]:
        """The results of one batch, in order; raises RuntimeError for a refusal."""
        asked = [*questions, _COMPANION] if len(questions) < _LARGE_BATCH else questions
        first, self._ids = self._ids, self._ids + len(asked)
        answered = self._waiting[first] = asyncio.get_running_loop().create_future()
        batch = [
            {"jsonrpc": "2.0", "id": first + at, "method": method, "params": params}
            for at, (method, *params) in enumerate(asked)
        ]
        self._writer.write(msgspec.json.encode(batch) + b"\n")
        answers = sorted(await answered, key=lambda answer: answer["id"])
        refused = [answer["error"] for answer in answers if "error" in answer]
        if refused:
            raise RuntimeError(f"the server refuses: {refused[0]}")
        return [answer["result"] for answer in answers[: len(questions)]]

    async def ask_all(self, questions: Sequence[Question]) -> list[Any]:
        """The results of any number of questions, several batches under way at once."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(part: Sequence[Question]) -> list[Any]:
            async with turns:
                return await self.ask(part)

        parts = [questions[at : at + A_BATCH] for at in range(0, len(questions), A_BATCH)]
        return [result for results in await asyncio.gather(*map(one, parts)) for result in results]

    async def subscribe(self, scripts: Sequence[str]) -> list[str | None]:
        """The statuses."""
        return await self.ask_all([("blockchain.scripthash.subscribe", script) for script in scripts])

    async def subscribe_to_headers(self) -> None:
        """Be told of blocks."""
        await self.ask([("blockchain.headers.subscribe",)])

    async def flush(self) -> None:
        """Ask for something large, so that notifications the server holds back come too."""
        await self.ask([_PING])

    async def fetch(self, scripts: Sequence[str], *, branches: bool = True) -> int:
        """Histories, the raw transactions in them and, of confirmed ones, branches; how many transactions."""
        histories = await self.ask_all([("blockchain.scripthash.get_history", script) for script in scripts])
        heights = {entry["tx_hash"]: entry["height"] for history in histories for entry in history}
        await self.ask_all([("blockchain.transaction.get", txid) for txid in heights])
        confirmed = [(txid, height) for txid, height in heights.items() if branches and height > 0]
        await self.ask_all([("blockchain.transaction.get_merkle", *place) for place in confirmed])
        return len(heights)

    async def fetched_at(self, scripts: Sequence[str]) -> float:
        """When histories and transactions are here, in seconds since 1970."""
        await self.fetch(scripts, branches=False)
        return time.time()

    async def told(self, method: str, *, within: float = 30) -> Note:
        """The next notification of this method; others are passed over. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while (note := await self.notes.get()).method != method:
                pass
        return note

    async def _listen(self) -> None:
        try:
            await self._read()
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError("the connection ended"))

    async def _read(self) -> None:
        while line := await self._reader.readline():
            at = time.time()
            message = msgspec.json.decode(line)
            if isinstance(message, list):
                self._waiting.pop(min(answer["id"] for answer in message)).set_result(message)
            elif "method" in message:
                self.notes.put_nowait(Note(at, message["method"], message["params"]))
            else:
                raise RuntimeError(f"neither an answer nor a notification: {message}")


async def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--histories", action="store_true")
    arguments = parser.parse_args()
    scripts = arguments.file.read_text().split()
    async with Bare(arguments.port) as bare:
        await bare.subscribe_to_headers()
        statuses = await bare.subscribe(scripts)
        touched = [script for script, status in zip(scripts, statuses, strict=True) if status is not None]
        fetched = await bare.fetch(touched) if arguments.histories else 0
        used = resource.getrusage(resource.RUSAGE_SELF)
        resident = Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]
    print(
        json.dumps({"cpu": used.ru_utime + used.ru_stime, "rss_kib": int(resident), "transactions": fetched})
    )


if __name__ == "__main__":
    asyncio.run(main())
