"""Which addresses we connect to, decided where the socket is made.

A name is resolved once, and each address it led to passes this gate at the moment its socket is
created: there is no second resolution between the check and the connection, and a literal address in
a URL passes the same gate.
"""

from __future__ import annotations

import ipaddress
import socket
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

if TYPE_CHECKING:
    from collections.abc import Callable

# family, type, protocol, canonical name, address: as getaddrinfo gives it
AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]

_LOCAL_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598: carriers, and overlay networks such as Tailscale
    )
)
# protocol assignments, former 6to4 relays (RFC 6890, 7526): what the library says of them differs by release
_NEVER_V4: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_LOCAL_V6: Final = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
# clouds hand out credentials here; not in a range that is refused anyway, or in one that may be allowed
_METADATA: Final = frozenset(
    ipaddress.ip_address(text) for text in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254")
)


class ForbiddenAddress(OSError):
    """The target's address is one we do not connect to."""


class Reach(Enum):
    """How far an address reaches."""

    PUBLIC = auto()
    LOCAL = auto()  # this machine or a private network: only where the operator allows it
    NEVER = auto()  # link-local, metadata services, multicast, unspecified, reserved


def reach_of(text: str) -> Reach:
    """How far the address written there reaches; an embedded IPv4 address decides for its IPv6 form."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return Reach.NEVER
    match address:
        case IPv4Address():
            return _reach_v4(address)
        case IPv6Address():
            return _reach_v6(address)
        case _:
            assert_never(address)


def permitted(text: str, *, allow_private: bool) -> bool:
    """Whether we may connect to the address written there."""
    match reach_of(text):
        case Reach.PUBLIC:
            return True
        case Reach.LOCAL:
            return allow_private
        case Reach.NEVER:
            return False


def gate(*, allow_private: bool) -> Callable[[AddressInfo], socket.socket]:
    """Makes sockets for permitted addresses alone; raises `ForbiddenAddress` for others.

    The message is always the same, so that several forbidden addresses of one name stay one error.
    """

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not permitted(str(address[0]), allow_private=allow_private):
            raise ForbiddenAddress("the target's address is not one we connect to")
        return socket.socket(family, kind, protocol)

    return open_socket


def _reach_v4(address: IPv4Address) -> Reach:
    if address in _METADATA or any(address in network for network in _NEVER_V4):
        return Reach.NEVER
    if any(address in network for network in _LOCAL_V4):
        return Reach.LOCAL
    return Reach.PUBLIC if address.is_global and not address.is_multicast else Reach.NEVER


def _reach_v6(address: IPv6Address) -> Reach:
    embedded = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    if embedded is not None:
        return _reach_v4(embedded)
    if address in _METADATA:
        return Reach.NEVER
    if any(address in network for network in _LOCAL_V6):
        return Reach.LOCAL
    return Reach.PUBLIC if address in _GLOBAL_UNICAST and address.is_global else Reach.NEVER
