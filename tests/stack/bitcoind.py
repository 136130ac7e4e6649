"""A real Bitcoin node on a private regtest chain."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from tests.stack import fetch, loopback
from tests.stack.processes import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_USER, _PASSWORD = "watcher", "regtest"
_WARMING_UP = -28  # RPC_IN_WARMUP in Bitcoin Core's rpc/protocol.h


class RpcError(RuntimeError):
    """The node refused: its own code and words."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code


class Node:
    """`async with Node(directory) as node`: started, answering, and killed at the end.

    It talks to nobody unless `listening`; then another one can `connect` to it. Its mempool is not kept
    over a restart, and no wallet broadcasts by itself: what is in the mempool is what a test put there.
    """

    def __init__(self, directory: Path, *, listening: bool = False, arguments: Sequence[str] = ()) -> None:
        self.directory = directory
        self.rpc_port = free_port()
        self.p2p_port = free_port()
        self.listening = listening
        self._arguments = arguments
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The RPC address with its credentials."""
        return f"http://{_USER}:{_PASSWORD}@127.0.0.1:{self.rpc_port}"

    async def __aenter__(self) -> Self:
        executable = await asyncio.to_thread(fetch.bitcoind)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._child = Child([executable, *self._flags()], log=self.directory / "bitcoind.log")
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()

    def _flags(self) -> list[str]:
        network = [f"-bind=127.0.0.1:{self.p2p_port}", "-listen=1"] if self.listening else ["-listen=0"]
        return [
            "-regtest",
            f"-datadir={self.directory}",
            "-server=1",
            f"-rpcport={self.rpc_port}",
            f"-rpcuser={_USER}",
            f"-rpcpassword={_PASSWORD}",
            "-rpcthreads=8",
            "-keypool=10",
            "-txindex=1",
            "-fallbackfee=0.0002",
            "-persistmempool=0",
            "-walletbroadcast=0",
            *network,
            "-connect=0",
            "-dnsseed=0",
            "-fixedseeds=0",
            "-natpmp=0",
            "-listenonion=0",
            "-dbcache=16",
            "-par=1",
            "-printtoconsole=1",
            "-debuglogfile=0",
            *self._arguments,
        ]

    @property
    def child(self) -> Child:
        """The process, for signals."""
        if self._child is None:
            raise RuntimeError("the node was not entered")
        return self._child

    async def start(self) -> None:
        """Start it again after `stop`, and wait until it answers."""
        self.child.start()
        await self.child.ready(self._answers, within=180)

    async def stop(self) -> None:
        """Shut it down in order."""
        await self.child.terminate(within=180)

    async def restart(self) -> None:
        """Stop and start: the mempool is empty afterwards, the wallets are loaded again."""
        await self.stop()
        await self.start()

    async def connect(self, other: Node) -> None:
        """Become a peer of another node that is `listening`."""
        await self.rpc("addnode", f"127.0.0.1:{other.p2p_port}", "onetry")

    async def rpc(self, method: str, *parameters: Any, wallet: str | None = None) -> Any:
        """The result, amounts as `Decimal`; raises `RpcError` when the node refuses."""
        path = f"/wallet/{wallet}" if wallet else "/"
        token = base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()
        reply = await loopback.request(
            f"http://127.0.0.1:{self.rpc_port}{path}",
            method="POST",
            body=json.dumps({"id": 0, "method": method, "params": parameters}).encode(),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
            within=120,
        )
        answer = json.loads(reply.body, parse_float=Decimal)
        if answer["error"] is not None:
            raise RpcError(method, answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    async def _answers(self) -> bool:
        try:
            await self.rpc("getblockcount")
        except RpcError as refusal:
            if refusal.code != _WARMING_UP:
                raise
            return False
        except (OSError, http.client.HTTPException):
            return False
        return True
