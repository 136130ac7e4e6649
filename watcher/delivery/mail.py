"""E-mail over SMTP (RFC 5321), encrypted from the start or by STARTTLS.

All messages of an incident refer to the same made-up first one, by which mail programs thread them. A
message keeps its Message-ID over retries, and recipients who have it are not sent it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

import aiosmtplib
from aiohappyeyeballs import start_connection

from watcher.delivery.endpoint import Connectionless
from watcher.delivery.http import TOTAL_SECONDS
from watcher.delivery.queues import Fold
from watcher.delivery.targets import AddressInfo, ForbiddenAddress, gate
from watcher.delivery.texts.message import Room
from watcher.delivery.verdict import Delivered, Reason, Retry, Verdict

if TYPE_CHECKING:
    from watcher.delivery.endpoint import Group
    from watcher.delivery.texts.message import Message, Texts

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[AddressInfo]]]
"""Where a host's port is, as getaddrinfo gives it; raises OSError."""

_ROOM: Final = Room(20_000)
_EYEBALLS_SECONDS: Final = 0.25  # RFC 8305: before the next address is tried beside the first
_REMEMBERED: Final = 256  # messages that some of their recipients have
_OURS: Final = "treasury-watcher"


class Encryption(Enum):
    """How the way to the server is encrypted."""

    FROM_THE_START = auto()
    BY_STARTTLS = auto()
    IF_OFFERED = auto()  # into one's own network alone: whoever is between can take the offer away


_START_TLS: Final = {
    Encryption.FROM_THE_START: False,
    Encryption.BY_STARTTLS: True,
    Encryption.IF_OFFERED: None,
}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Which server takes mail from whom, for whom."""

    host: str
    port: int
    encryption: Encryption
    sender: str
    recipients: tuple[str, ...]
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    allow_private: bool = False


async def system_resolver(host: str, port: int) -> Sequence[AddressInfo]:
    """What the system knows of the host."""
    return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class MailSender(Connectionless):
    """Sends to all recipients of a mailbox; `now` gives seconds since 1970, `seconds` bounds an attempt."""

    def __init__(
        self,
        mailbox: Mailbox,
        texts: Texts,
        *,
        now: Callable[[], float],
        resolve: Resolve = system_resolver,
        trust: ssl.SSLContext | None = None,
        seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._mailbox = mailbox
        self._texts = texts
        self._now = now
        self._resolve = resolve
        self._trust = trust
        self._seconds = seconds
        self._have: OrderedDict[str, frozenset[str]] = OrderedDict()

    def queue(self) -> Fold:
        """An outflow first and alone, the rest folded where many are alike."""
        return Fold(self._now)

    async def send(self, group: Group) -> Verdict:
        """One message to whom it has not reached; every failure is a verdict."""
        message = await asyncio.to_thread(self._texts.telling, group, _ROOM)
        name = _name([delivery.webhook_id for delivery in group])
        mail = compose(message, self._mailbox, name=name, at=datetime.fromtimestamp(self._now(), UTC))
        try:
            async with asyncio.timeout(self._seconds):
                return await self._submit(mail, name)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, UnicodeError) as error:
            return verdict_of_error(error)

    async def _submit(self, mail: EmailMessage, name: str) -> Verdict:
        have = self._have.get(name, frozenset())
        owed = [each for each in self._mailbox.recipients if each not in have]
        client = await self._connect()
        try:
            await client.connect()
            addresses = {parseaddr(each)[1]: each for each in owed}
            sender = parseaddr(self._mailbox.sender)[1]
            refused, _ = await client.sendmail(sender, list(addresses), mail.as_bytes(policy=SMTP_POLICY))
        finally:
            client.close()
        if not refused:
            self._have.pop(name, None)
            return Delivered(aiosmtplib.SMTPStatus.completed)
        self._have[name] = have | {full for address, full in addresses.items() if address not in refused}
        while len(self._have) > _REMEMBERED:
            self._have.popitem(last=False)
        return _verdict_of_code(max(answer.code for answer in refused.values()))

    async def _connect(self) -> aiosmtplib.SMTP:
        box = self._mailbox
        found = await self._resolve(box.host, box.port)
        connected = await start_connection(
            list(found),
            happy_eyeballs_delay=_EYEBALLS_SECONDS,
            socket_factory=gate(allow_private=box.allow_private),
        )
        return aiosmtplib.SMTP(
            hostname=box.host,
            sock=connected,
            local_hostname=_OURS,
            timeout=self._seconds,
            use_tls=box.encryption is Encryption.FROM_THE_START,
            start_tls=_START_TLS[box.encryption],
            tls_context=self._trust,
            username=box.username,
            password=box.password,
        )


def compose(message: Message, mailbox: Mailbox, *, name: str, at: datetime) -> EmailMessage:
    """The mail: plain text, its headers without line ends whatever the message holds."""
    _, _, domain = parseaddr(mailbox.sender)[1].rpartition("@")
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = mailbox.sender
    mail["To"] = ", ".join(mailbox.recipients)
    # the header's parser would decode an encoded word (RFC 2047), line ends in it and all
    mail["Subject"] = message.title.replace("=?", "= ?")
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{name}@{domain}>"
    if message.incident is not None:
        first = f"<{message.incident}@{domain}>"
        mail["In-Reply-To"] = first
        mail["References"] = first
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence notice answers it
    mail.set_content(f"{message.body}\n", cte="quoted-printable")
    return mail


def _name(webhook_ids: Sequence[str]) -> str:
    """The same for the same deliveries, so that a second copy is known as one."""
    if len(webhook_ids) == 1:
        return webhook_ids[0]
    return f"fold_{hashlib.sha256(' '.join(webhook_ids).encode()).hexdigest()[:32]}"


# the first that fits: what aiosmtplib raises is often an OSError too
_REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (TimeoutError, Reason.TIMEOUT),
    (ForbiddenAddress, Reason.FORBIDDEN_ADDRESS),
    (socket.gaierror, Reason.DNS),
    (UnicodeError, Reason.DNS),  # a name that cannot be one
    (ssl.SSLError, Reason.TLS),
    (OSError, Reason.CONNECTION),
)


def verdict_of_error(error: Exception) -> Verdict:
    """What became of the attempt, for what aiosmtplib or the system raised."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return _verdict_of_code(max(each.code for each in refused))
        case aiosmtplib.SMTPResponseException(code=code):
            return _verdict_of_code(code)
        case _ if isinstance(error.__cause__, ssl.SSLError):
            return Retry(Reason.TLS)
        case _:
            reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
            return Retry(next(reasons, Reason.PROTOCOL))


def _verdict_of_code(code: int) -> Verdict:
    """RFC 5321, 4.2.1: 4yz is for now, 5yz for good; for good may end when the operator mends something."""
    match code // 100:
        case 4:
            return Retry(Reason.OVERLOADED, None, code)
        case 5:
            return Retry(Reason.STATUS_5XX, None, code)
        case _:
            return Retry(Reason.PROTOCOL, None, code)
