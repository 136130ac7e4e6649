"""A server's name as addresses: asked anew for each connection, the one that last worked kept for bad days.

Whoever answers in the server's place is found out by its certificate, and is not remembered.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # as `socket.getaddrinfo` has it: family, type, protocol, canonical name, socket address
    Found: TypeAlias = tuple[
        socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]
    ]
    Lookup: TypeAlias = Callable[[str, int], Awaitable[list[Found]]]


async def system_lookup(host: str, port: int) -> list[Found]:
    """What the system's resolver says; OSError where it says nothing."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, kind, protocol, name, _sized(where)) for family, kind, protocol, name, where in found]


class Names:
    """One source's; `address` is where its server was reached last, None before that or through a proxy."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self.address: str | None = None
        self._lookup = lookup

    async def find(self, host: str, port: int) -> list[Found]:
        """Addresses to try; the one that last worked where the resolver fails; OSError without one."""
        try:
            return await self._lookup(host, port)
        except OSError:
            if self.address is None:
                raise
            return [_literal(self.address, port)]

    def worked(self, peer: object) -> None:
        """A socket's peer that has shown itself to be the server."""
        if isinstance(peer, tuple) and peer and isinstance(peer[0], str):
            self.address = peer[0]


class Resolver(AbstractResolver):
    """The same for aiohttp."""

    def __init__(self, names: Names) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses to try, of the family asked for; OSError where there is none."""
        return [
            ResolveResult(hostname=host, host=where[0], port=where[1], family=of, proto=protocol, flags=0)
            for of, _kind, protocol, _name, where in await self._names.find(host, port)
            if family in {of, socket.AF_UNSPEC}
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _literal(address: str, port: int) -> Found:
    if ip_address(address).version == 4:
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))


def _sized(where: tuple[object, ...]) -> tuple[str, int] | tuple[str, int, int, int]:
    match where:
        case (str(host), int(port)):
            return host, port
        case (str(host), int(port), int(flow), int(scope)):
            return host, port, flow, scope
        case _:
            raise OSError("an address of a family that is neither IPv4 nor IPv6")
