"""Opening a connection to an Electrum server: its address, and whom to believe that it is the one."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from watcher.sources.base import Misbehaved, Unavailable
from watcher.sources.certificates import ends_at
from watcher.sources.quoted import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.sources.names import Names
    from watcher.sources.proxy import Socks

# A dead IPv6 address beside a live IPv4 one costs this much, not a whole time-out (RFC 8305, section 8).
_HAPPY_EYEBALLS: Final = 0.25
_STREAM_LIMIT: Final = 1 << 18  # bytes the stream holds before it stops reading; lines have their own bound


@dataclass(frozen=True, slots=True)
class Authorities:
    """Believe who a certificate authority vouches for: the system's, or those of one PEM file."""

    file: str | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """Believe the one certificate with this SHA-256 (32 bytes, of its DER form), whatever else it says."""

    fingerprint: bytes


@dataclass(slots=True)
class FirstUse:
    """Believe the certificate that was met first, and no other after it; `met` is told of the first."""

    fingerprint: bytes | None
    met: Callable[[bytes], None]

    def accepts(self, fingerprint: bytes) -> bool:
        """Whether it is that one; it is, where there was none yet."""
        if self.fingerprint is None:
            self.fingerprint = fingerprint
            self.met(fingerprint)
        return compare_digest(fingerprint, self.fingerprint)


Tls: TypeAlias = Authorities | Pin | FirstUse


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens; `tls` says how it is reached."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Line:
    """An open connection; `not_after` is when its certificate ends, in Unix seconds."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    not_after: float | None


def parse_url(url: str) -> Address:
    """The address in `tcp://host:port` or `ssl://host:port`; `ValueError` for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in {"tcp", "ssl"} or not parts.hostname or parts.port is None:
        raise ValueError("a source's url is tcp://host:port or ssl://host:port")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("a source's url has a host and a port and nothing else")
    return Address(parts.hostname, parts.port, parts.scheme == "ssl")


async def dial(
    address: Address, tls: Tls, *, seconds: float, names: Names, proxy: Socks | None = None
) -> Line:
    """An open connection within `seconds`, its certificate checked; else `Unavailable` or `Misbehaved`.

    With a `proxy` it is opened through that or not at all, and `names` is not asked.
    """
    context = _context(tls) if address.tls else None
    try:
        async with asyncio.timeout(seconds):
            if proxy is None:
                connected = await start_connection(
                    await names.find(address.host, address.port), happy_eyeballs_delay=_HAPPY_EYEBALLS
                )
            else:
                connected = await proxy.connect(address.host, address.port, seconds=seconds)
            reader, writer = await asyncio.open_connection(
                sock=connected,
                limit=_STREAM_LIMIT,
                ssl=context,
                server_hostname=address.host if address.tls else None,
            )
    except TimeoutError:
        raise Unavailable(f"no connection within {seconds:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Unavailable(f"certificate not accepted: {quoted(error.verify_message)}") from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA cannot encode
        hung_up = f"the server hung up{' during the TLS handshake' if address.tls else ''}"
        raise Unavailable(f"no connection: {quoted(error) or hung_up}") from None
    if not address.tls:
        line = Line(reader, writer, None)
    else:
        socket: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = socket.getpeercert(binary_form=True) or b""
        line = Line(reader, writer, ends_at(certificate))
        if not is_known(certificate, tls):
            writer.transport.abort()
            raise Misbehaved("certificate", "the certificate is not the known one")
    if proxy is None:
        names.worked(writer.get_extra_info("peername"))
    return line


def _context(tls: Tls) -> ssl.SSLContext:
    match tls:
        case Authorities(file):
            return ssl.create_default_context(cafile=file)
        case Pin() | FirstUse():
            context = ssl.create_default_context()
            # compared with the fingerprint instead, which says more
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context


def is_known(certificate: bytes, tls: Tls) -> bool:
    """Whether a server that has shown this certificate (DER) is believed to be the one."""
    fingerprint = sha256(certificate).digest()
    match tls:
        case Authorities():
            return True  # verified while the connection was opened
        case Pin():
            return compare_digest(fingerprint, tls.fingerprint)
        case FirstUse():
            return tls.accepts(fingerprint)
