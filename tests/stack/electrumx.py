"""A real Electrum server on a node of ours."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tests.stack import fetch
from tests.stack.processes import Child, ChildError, free_port, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.bitcoind import Node

_LINE_BYTES = 50_000_000  # a whole history in one line
_NO_COST_LIMITS = {"COST_SOFT_LIMIT": "100000000", "COST_HARD_LIMIT": "1000000000"}


class ElectrumError(RuntimeError):
    """The server answered with an error: its own code and words."""


class Line:
    """The smallest client there is: JSON-RPC by the line, one batch at a time, notifications kept aside."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.notifications: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, *, certificate: Path | None = None) -> Line:
        """Connected and greeted, over TLS when the server's certificate is given."""
        context = None if certificate is None else ssl.create_default_context(cafile=certificate)
        line = cls(*await asyncio.open_connection("127.0.0.1", port, limit=_LINE_BYTES, ssl=context))
        try:
            await line.ask("server.version", "stack", ["1.4", "1.6"])
        except BaseException:
            await line.close()
            raise
        return line

    async def ask(self, method: str, *parameters: Any) -> Any:
        """The result of one question."""
        return (await self.batch((method, *parameters)))[0]

    async def batch(self, *questions: tuple[Any, ...]) -> list[Any]:
        """The results in the order of the questions; raises `ElectrumError` for the first refusal.

        A single one goes in a batch of its own with a large companion answer, since ElectrumX holds
        small answers back for up to a second.
        """
        asked = [*questions, _COMPANION]
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
            for number, (method, *parameters) in enumerate(asked)
        ]
        self._writer.write(json.dumps(requests).encode() + b"\n")
        async with asyncio.timeout(120):
            answers = {answer["id"]: answer for answer in await self._answers()}
        for answer in answers.values():
            if "error" in answer:
                raise ElectrumError(str(answer["error"]))
        return [answers[number]["result"] for number in range(len(questions))]

    async def notified(self, method: str, *, within: float = 60) -> list[Any]:
        """The parameters of the next notification of this method."""
        async with asyncio.timeout(within):
            while not any(note["method"] == method for note in self.notifications):
                await self._read()
        first = next(note for note in self.notifications if note["method"] == method)
        self.notifications.remove(first)
        parameters: list[Any] = first["params"]
        return parameters

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _answers(self) -> list[dict[str, Any]]:
        while True:
            answers = await self._read()
            if answers:
                return answers

    async def _read(self) -> list[dict[str, Any]]:
        line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("the server closed the connection")
        message = json.loads(line)
        if isinstance(message, list):
            return message
        self.notifications.append(message)
        return []


_COMPANION = ("blockchain.block.headers", 0, 14)


class ElectrumX:
    """`async with ElectrumX(node) as server`: answering at the node's tip, and killed at the end.

    It looks at the node every `poll_ms`, ten times a second by default instead of the server's own 5 s.
    Without `cost_limits` it never throttles. With `tls` it also listens on `tls_port`, with a
    certificate for localhost and 127.0.0.1 that lies at `certificate`.
    """

    def __init__(
        self,
        node: Node,
        *,
        directory: Path | None = None,
        version: str = fetch.ELECTRUMX_VERSION,
        poll_ms: int = 100,
        cost_limits: bool = False,
        tls: bool = False,
    ) -> None:
        self.node = node
        self.version = version
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.directory = directory or node.directory.with_name(f"electrumx-{self.port}")
        self.certificate = self.directory / "tls.crt"
        self._poll_ms = poll_ms
        self._cost_limits = cost_limits
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The address as a source's `url` has it, without TLS."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """The address as a source's `url` has it, with TLS."""
        return f"ssl://127.0.0.1:{self.tls_port}"

    @property
    def child(self) -> Child:
        """The process, for signals."""
        if self._child is None:
            raise RuntimeError("the server was not entered")
        return self._child

    async def __aenter__(self) -> Self:
        executable = await asyncio.to_thread(fetch.electrumx, self.version)
        (self.directory / "db").mkdir(parents=True, exist_ok=True)
        if self.tls_port is not None:
            await self_signed(self.certificate, self._key)
        self._child = Child([executable], log=self.directory / "electrumx.log", env=self._environment())
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()

    async def start(self) -> None:
        """Start it again after `stop`, and wait until it serves the node's tip."""
        self.child.start()
        await self.child.ready(self._at_the_tip, within=180)

    async def stop(self) -> None:
        """Shut it down in order."""
        await self.child.terminate(within=60)

    async def restart(self) -> None:
        """Stop and start, on the same port and database."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """It keeps its connections and says nothing more, until `resume`."""
        self.child.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.child.resume()

    async def connect(self, *, tls: bool = False) -> Line:
        """A new client's connection."""
        if tls and self.tls_port is not None:
            return await Line.open(self.tls_port, certificate=self.certificate)
        return await Line.open(self.port)

    async def tip(self) -> tuple[int, str] | None:
        """Height and raw header (hex) that it tells clients, or None while it answers nobody."""
        try:
            line = await self.connect()
        except (OSError, TimeoutError):
            return None
        try:
            told = await line.ask("blockchain.headers.subscribe")
        except (OSError, TimeoutError):
            return None
        finally:
            await line.close()
        return told["height"], told["hex"]

    async def wait_height(self, height: int, *, within: float = 120) -> None:
        """Wait until clients are told exactly this height; raises `TimeoutError`."""

        async def reached() -> bool:
            told = await self.tip()
            return told is not None and told[0] == height

        await until(reached, within=within, what=f"ElectrumX at height {height}")

    async def synced(self, *, within: float = 120) -> None:
        """Wait until clients are told the node's own tip; raises `TimeoutError`."""
        await until(self._at_the_tip, within=within, what="ElectrumX at the node's tip")

    async def scripthash(self, address: str) -> str:
        """The address as the protocol names it."""
        script = (await self.node.rpc("validateaddress", address))["scriptPubKey"]
        return hashlib.sha256(bytes.fromhex(script)).digest()[::-1].hex()

    async def history(self, address: str) -> dict[str, int]:
        """Heights by txid as clients are told them; 0 is unconfirmed, -1 too with an unconfirmed parent."""
        scripthash = await self.scripthash(address)
        line = await self.connect()
        try:
            entries = await line.ask("blockchain.scripthash.get_history", scripthash)
        finally:
            await line.close()
        return {entry["tx_hash"]: entry["height"] for entry in entries}

    async def wait_history(self, address: str, expected: dict[str, int], *, within: float = 120) -> None:
        """Wait until `history` is this; raises `TimeoutError` with what it was at last."""
        last: dict[str, int] = {}

        async def same() -> bool:
            nonlocal last
            last = await self.history(address)
            return last == expected

        try:
            await until(same, within=within, what="history")
        except TimeoutError:
            raise TimeoutError(f"for {within:g} s clients are told {last}, not {expected}") from None

    async def _at_the_tip(self) -> bool:
        height = await self.node.rpc("getblockcount")
        header = await self.node.rpc("getblockheader", await self.node.rpc("getblockhash", height), False)
        return await self.tip() == (height, header)

    @property
    def _key(self) -> Path:
        return self.directory / "tls.key"

    def _environment(self) -> dict[str, str]:
        services = [f"tcp://127.0.0.1:{self.port}"]
        if self.tls_port is not None:
            services.append(f"ssl://127.0.0.1:{self.tls_port}")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "COIN": "Bitcoin",
            "NET": "regtest",
            "DB_ENGINE": "leveldb",
            "DB_DIRECTORY": str(self.directory / "db"),
            "DAEMON_URL": self.node.url,
            "SERVICES": ",".join(services),
            "SSL_CERTFILE": str(self.certificate),
            "SSL_KEYFILE": str(self._key),
            "PEER_DISCOVERY": "off",
            "PEER_ANNOUNCE": "",
            "ALLOW_ROOT": "1",
            "CACHE_MB": "50",
            "DAEMON_POLL_INTERVAL_BLOCKS": str(self._poll_ms),
            "DAEMON_POLL_INTERVAL_MEMPOOL": str(self._poll_ms),
            **({} if self._cost_limits else _NO_COST_LIMITS),
        }


async def self_signed(certificate: Path, key: Path, *, names: str = "DNS:localhost,IP:127.0.0.1") -> None:
    """Write a new key and a certificate for these names that it signed itself, valid for a year."""
    openssl = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "365", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names}"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await openssl.communicate()
    if openssl.returncode != 0:
        raise ChildError(f"openssl: {errors.decode(errors='replace')}")
