"""An Electrum server over a toy chain, on a real socket, that lies and fails when told to."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Self

from tests.toy.answers import Answers
from tests.toy.client import Client
from tests.toy.faults import Faults, ToyError, error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType

    from tests.toy.chain import ToyChain
    from tests.toy.coding import Tx
    from watcher.bitcoin.types import Txid


class ToyElectrum:
    """Speaks up to `protocol`; with `pads` holds small answers back like ElectrumX; over TLS with a context.

    `counts` has the requests by method, `connections` how often somebody connected, `batches` how many came;
    `last_ids` has the id of the last request of each method; `waited` is how often what was held back left by
    the clock alone. Within its context its port is nobody else's, also while it does not listen.
    """

    software = "ToyElectrum 1.0"

    def __init__(
        self,
        chain: ToyChain,
        *,
        protocol: str = "1.6",
        pads: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.chain = chain
        self.protocol = protocol
        self.pads = pads
        self.faults = Faults()
        self.answers = Answers(chain, self.faults)
        self.clients: set[Client] = set()
        self.counts: Counter[str] = Counter()
        self.last_ids: dict[str, Any] = {}
        self.connections = 0
        self.batches = 0
        self.waited = 0
        self.port = 0
        self._tls = tls
        self._hears = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._place: socket.socket | None = None  # bound, and never listens
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'tcp' if self._tls is None else 'ssl'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        self.chain.listeners.append(self.notify)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.chain.listeners.remove(self.notify)
        await self.stop()
        assert self._place is not None
        self._place.close()
        self._place = None

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        if self._place is None:
            self._place = socket.socket()
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._place.bind(("127.0.0.1", self.port))
            self.port = self._place.getsockname()[1]
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=1 << 22, reuse_port=True
        )

    async def stop(self) -> None:
        """Stop listening and hang up on all."""
        assert self._server is not None
        self._server.close()
        self.hear()
        self.disconnect_all()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    # -- faults -----------------------------------------------------------------------------------

    def swallow_notifications(self) -> None:
        """Tell nobody anything unasked."""
        self.faults.silent_bells = True

    def omit(self, txid: Txid) -> None:
        """Deny a transaction everywhere."""
        self.faults.omitted.add(txid)

    def fake_unconfirmed(self, tx: Tx) -> None:
        """Show a transaction that nobody else has."""
        self.faults.fakes[tx.txid] = tx
        self.notify()

    def take_back(self, txid: Txid) -> None:
        """Show it no more."""
        del self.faults.fakes[txid]
        self.notify()

    def freeze_tip(self) -> None:
        """Learn of no block any more."""
        self.faults.tip_height = self.chain.height

    def forge_merkle(self) -> None:
        """Give branches that lead nowhere."""
        self.faults.forged_branches = True

    def stall(self) -> None:
        """Read on, and answer nothing."""
        self.faults.stalled = True

    def half_open(self) -> None:
        """Neither read nor answer, and do not hang up either."""
        self.faults.deaf = self.faults.silent_bells = True
        self._hears.clear()

    def hear(self) -> None:
        """Read again."""
        self.faults.deaf = False
        self._hears.set()

    async def hears_again(self) -> None:
        """Returns when `hear` was called."""
        await self._hears.wait()

    def disconnect_all(self) -> None:
        """Hang up on everybody."""
        for client in list(self.clients):
            client.hang_up()

    def garbage(self, data: bytes) -> None:
        """Send these very bytes to everybody."""
        for client in list(self.clients):
            client.send(data)

    def error_next(self, method: str, code: int, message: str) -> None:
        """Refuse the next request of this method."""
        self.refuse_next(method, error(code, message))

    def refuse_next(self, method: str, refusal: ToyError) -> None:
        """Refuse the next request of this method with an error of any form."""
        self.faults.errors.setdefault(method, deque()).append(refusal)

    def forge(self, method: str, bend: Callable[[list[Any], Any], Any]) -> None:
        """Answer `bend(params, honest result)` from now on."""
        self.faults.answers[method] = bend

    def notify(self) -> None:
        """Tell every client what changed."""
        for client in list(self.clients):
            client.notify()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        client = Client(self, reader, writer)
        self.clients.add(client)
        try:
            await client.serve()
        finally:
            self.clients.discard(client)
            self._serving.discard(task)
