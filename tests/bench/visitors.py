"""Who reads along: ten streams, one of which never reads, a spreadsheet of the whole history, a scraper.

As a program (`python -m tests.bench.visitors URL TREASURY`) it says `{"streams": …}` when all streams are
open, goes on until its input ends and one spreadsheet is whole, and then prints what it was given. It is
last in the queue for the processor: what a daemon loses by it is what serving it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from contextlib import suppress
from typing import Final

import aiohttp

STREAMS: Final = 10
_STREAM: Final = "/api/v1/events/stream"
_SCRAPE_SECONDS: Final = 1.0
_WINDOW: Final = 4_096  # bytes the one that never reads lets come
_PIECE: Final = 1 << 16


class Visitors:
    """All of them at one daemon; the counts are of what came so far."""

    def __init__(self, url: str, treasury: str) -> None:
        self._url = url
        self._treasury = treasury
        self._open = 0
        self._all_open = asyncio.Event()
        self._whole = asyncio.Event()
        self.events = [0] * (STREAMS - 1)
        self.scrapes = 0
        self.rows: list[int] = []
        self.seconds: list[float] = []

    async def stay(self) -> None:
        """Until the input ends and a spreadsheet was whole."""
        # no limit for a whole answer: a stream has no end
        times = aiohttp.ClientTimeout(total=None, sock_read=120)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=times, connector=connector, trust_env=False) as http:
            staying = [
                *(asyncio.create_task(self._listen(http, number)) for number in range(STREAMS - 1)),
                asyncio.create_task(self._never_reads(http)),
                asyncio.create_task(self._spreadsheets(http)),
                asyncio.create_task(self._scrape(http)),
            ]
            told = asyncio.create_task(self._told_to_end())
            done, _ = await asyncio.wait({told, *staying}, return_when=asyncio.FIRST_COMPLETED)
            for task in (told, *staying):
                task.cancel()
            for task in done:
                task.result()
            await asyncio.gather(*staying, return_exceptions=True)

    async def _told_to_end(self) -> None:
        await self._all_open.wait()
        print(json.dumps({"streams": self._open}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await self._whole.wait()

    def _opened(self) -> None:
        self._open += 1
        if self._open == STREAMS:
            self._all_open.set()

    async def _listen(self, http: aiohttp.ClientSession, number: int) -> None:
        async with http.get(self._url + _STREAM) as answer:
            self._opened()
            async for line in answer.content:
                self.events[number] += line.startswith(b"data:")

    async def _never_reads(self, http: aiohttp.ClientSession) -> None:
        """Asks for the whole log and takes nothing of it; comes again whenever it is sent away."""
        async with http.get(f"{self._url}/api/v1/events?limit=1") as answer:
            log = (await answer.json())["log"]
        host, _, port = self._url.removeprefix("http://").rpartition(":")
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as place, suppress(ConnectionError):
                place.setblocking(False)
                place.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
                await loop.sock_connect(place, (host, int(port)))
                request = f"GET {_STREAM}?after={log}:0 HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
                await loop.sock_sendall(place, request.encode())
                self._opened()
                while True:  # what is sent on a connection that was reset is refused
                    await asyncio.sleep(1)
                    place.send(b"\r\n")

    async def _spreadsheets(self, http: aiohttp.ClientSession) -> None:
        url = f"{self._url}/api/v1/treasuries/{self._treasury}/history?format=csv"
        while True:
            began, rows = time.monotonic(), -1  # the first line has the columns
            async with http.get(url) as answer:
                answer.raise_for_status()
                async for piece in answer.content.iter_chunked(_PIECE):
                    rows += piece.count(b"\n")
            self.rows.append(rows)
            self.seconds.append(time.monotonic() - began)
            self._whole.set()

    async def _scrape(self, http: aiohttp.ClientSession) -> None:
        while True:
            async with http.get(f"{self._url}/metrics") as answer:
                answer.raise_for_status()
                await answer.read()
            self.scrapes += 1
            await asyncio.sleep(_SCRAPE_SECONDS)


async def main() -> None:
    """What the module says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("treasury")
    told = parser.parse_args()
    os.nice(19)
    visitors = Visitors(told.url, told.treasury)
    await visitors.stay()
    print(
        json.dumps(
            {
                "events": visitors.events,
                "scrapes": visitors.scrapes,
                "rows": visitors.rows,
                "seconds": visitors.seconds,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())
