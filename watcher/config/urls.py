"""URLs and listen addresses: checked in full, shown as scheme and host only."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 2_000  # more than any server takes
DEFAULT_PORTS = {"http": 80, "https": 443, "smtp": 587, "smtps": 465, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Url:
    """A checked URL. Its text, which may hold a secret, is had by `reveal` alone."""

    scheme: str
    host: str
    port: int
    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The whole URL, for the one who connects."""
        return self._text

    def __str__(self) -> str:
        """Scheme and host, as logs, metrics and the API show it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}"


@dataclass(frozen=True, slots=True)
class ListenTcp:
    """A TCP address to listen on; port 0 asks for any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ListenUnix:
    """A Unix socket to listen on."""

    path: Path

    def __str__(self) -> str:
        """`unix:path`."""
        return f"unix:{self.path}"


Listen: TypeAlias = ListenTcp | ListenUnix


# a Unix address holds 107 bytes; where the path is longer, the directory in it is `/proc/self/fd/N`
_MOST_SOCKET_NAME: Final = 80


def parse_url(text: str, schemes: tuple[str, ...]) -> Url:
    """A URL of one of these schemes; the ValueError never repeats the text, which may hold a secret."""
    if len(text) > _MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"must be a URL of at most {_MOST} printable ASCII characters without spaces")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not host:
        raise ValueError("has no host")
    if not all(0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        # no resolver takes it; Python's raises UnicodeError, which is no OSError
        raise ValueError("has a host with an empty part, or one above 63 characters")
    port = port if port is not None else DEFAULT_PORTS.get(parts.scheme)
    if not port:
        raise ValueError(f"needs a port: {parts.scheme}://host:50002")
    if parts.scheme in {"tcp", "ssl"}:
        _only_host_and_port(parts)
    return Url(parts.scheme, host, port, text)


def parse_listen(text: str, *, folder: Path) -> Listen:
    """`host:port`, `[v6]:port` or `unix:path`, the path relative to `folder`; raises ValueError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError("has no path after unix:")
        if "\0" in path:
            raise ValueError("holds the character NUL, which no name of a file can")
        if len(os.fsencode(PurePath(path).name)) > _MOST_SOCKET_NAME:
            raise ValueError(f"a socket's name has at most {_MOST_SOCKET_NAME} bytes")
        return ListenUnix(folder / path)
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.netloc != text or "@" in text:
        raise ValueError('must be "host:port", "[v6]:port" or "unix:path"')
    return ListenTcp(host, port)


def _only_host_and_port(parts: SplitResult) -> None:
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("has only a host and a port")
