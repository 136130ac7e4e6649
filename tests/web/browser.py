"""A real Chromium, driven by its own debugging protocol over a socket."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stack import fetch
from tests.stack.processes import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)


@dataclass
class Tab:
    """One tab. `complaints` is what it logged as a warning or an error, `asked` every address it fetched.

    `document` is the browser's id of the one that was loaded last, `loads` how many were.
    """

    socket: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    document: str = ""
    loads: int = 0
    _number: int = 0

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command; what happens meanwhile is noted."""
        self._number += 1
        await self.socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            told = await self._told()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])

    async def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.socket.receive(timeout=120)).json()
        parameters = told.get("params", {})
        match told.get("method"):
            case "Network.requestWillBeSent":
                self.asked.add(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters))
            case "Log.entryAdded" if parameters["entry"]["level"] in {"warning", "error"}:
                self.complaints.append(str(parameters["entry"]))
            case "Page.lifecycleEvent" if parameters["name"] == "load":
                self.document = parameters["loaderId"]
                self.loads += 1
        return told

    async def open(self, url: str, *, width: int = 1440, dark: bool = False) -> None:
        """Open a page and wait until it is loaded."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        begun = await self.call("Page.navigate", url=url)
        # the load of what was there before may be told of only now
        while self.document != begun["loaderId"]:
            await self._told()

    async def press(self, selector: str) -> None:
        """Press a button as a person does, and wait for the page it leads to."""
        before = self.document
        await self.value(f"document.querySelector({selector!r}).click()")
        while self.document == before:
            await self._told()

    async def complained(self) -> str:
        """All that it complained of, as soon as there is something."""
        while not self.complaints:
            await self._told()
        return "".join(self.complaints)

    async def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        await self.value(f"document.querySelector({selector!r}).focus()")
        await self.call("Input.insertText", text=text)

    async def hindrances(self) -> list[str]:
        """What axe-core finds on the page that hinders people: rule, element and why."""
        await self.value(await asyncio.to_thread(fetch.axe().read_text) + "; null")
        found = await self.value(
            "axe.run().then((all) => JSON.stringify(all.violations.flatMap((rule) =>"
            " rule.nodes.map((node) => `${rule.id}: ${node.html} ${node.failureSummary}`))))"
        )
        return list(json.loads(found))

    async def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until it is true in the page, whose own changes wake the wait."""
        watch = (
            "new Promise((done) => {"
            f" const look = () => {{ if ({expression}) {{ seen.disconnect(); done(true); }} }};"
            " const seen = new MutationObserver(look);"
            " seen.observe(document, {subtree: true, childList: true, characterData: true}); look(); })"
        )
        async with asyncio.timeout(120):
            assert await self.value(watch) is True


@asynccontextmanager
async def browser(http: aiohttp.ClientSession) -> AsyncIterator[Tab]:
    """A tab of a browser of its own, gone afterwards."""
    chromium = await asyncio.to_thread(fetch.chromium)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            chromium,
            *QUIET,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            port = await asyncio.wait_for(_port(process, Path(profile)), 120)
            url = await until(lambda: _first_page(http, port), within=120, what="the browser's first tab")
            async with http.ws_connect(url, max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Log", "Runtime", "Network"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Page.setLifecycleEventsEnabled", enabled=True)
                yield tab
        finally:
            process.terminate()
            await process.communicate()


async def _first_page(http: aiohttp.ClientSession, port: int) -> str | None:
    """Where the first tab is spoken to; the browser listens a moment before it has one."""
    async with http.get(f"http://127.0.0.1:{port}/json") as response:
        return next((t["webSocketDebuggerUrl"] for t in await response.json() if t["type"] == "page"), None)


async def _port(process: asyncio.subprocess.Process, profile: Path) -> int:
    """The port that the browser says it listens at."""
    assert process.stderr is not None
    async for line in process.stderr:
        if b"DevTools listening on" in line:
            return int(line.split(b"ws://")[1].split(b"/")[0].rpartition(b":")[2])
    raise OSError(f"the browser ended; its profile was {profile}")
