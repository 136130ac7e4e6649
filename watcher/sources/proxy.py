"""Reaching a server through a SOCKS5 proxy, and never around it.

The name is resolved by the proxy (`socks5h`): asking the local resolver would tell it whom we ask. Each
source has credentials of its own, by which Tor gives it a circuit of its own (`IsolateSOCKSAuth`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from python_socks import ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy

from watcher.sources.base import Unavailable
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    import socket

_USER: Final = "treasury-watcher"


@dataclass(frozen=True, slots=True)
class Socks:
    """A SOCKS5 proxy; where it asks for no credentials of its own, `circuit` keeps sources apart."""

    host: str
    port: int
    circuit: str
    username: str | None = None
    password: str | None = None

    @property
    def credentials(self) -> tuple[str, str]:
        """User and password to give."""
        if self.username is not None:
            return self.username, self.password or ""
        return _USER, self.circuit

    async def connect(self, host: str, port: int, *, seconds: float) -> socket.socket:
        """A connected socket to the server, through the proxy; `Unavailable` where there is none."""
        username, password = self.credentials
        proxy = Proxy(ProxyType.SOCKS5, self.host, self.port, username, password, rdns=True)
        try:
            return await proxy.connect(host, port, timeout=seconds)
        except (ProxyTimeoutError, TimeoutError):
            raise Unavailable(f"no connection through the proxy within {seconds:g} s") from None
        except (ProxyError, OSError, UnicodeError) as error:
            raise Unavailable(f"no connection through the proxy: {quoted(error)}") from None
