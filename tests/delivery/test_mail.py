"""E-mail against a real SMTP server on loopback."""

from __future__ import annotations

import asyncio
import email
import logging
import socket
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.policy import default as modern
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from tests.delivery.samples import DUST, INCIDENT, TXID, body, texts, transaction
from tests.delivery.test_conformance import group
from watcher.delivery.http import TOTAL_SECONDS
from watcher.delivery.mail import Encryption, Mailbox, MailSender
from watcher.delivery.verdict import Delivered, Reason, Retry, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from email.message import EmailMessage, Message
    from pathlib import Path

    from watcher.delivery.targets import AddressInfo

OUTFLOW = transaction("tx.seen", "outflow")
PASSWORD = "correct horse battery staple"
ANA, BOB = "Ana <ana@ops.example>", "bob@ops.example"


@dataclass
class Post:
    """A mail server: what it took, and what it answers to whom."""

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def recipient(
        self, _server: SMTP, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def content(self, server: SMTP, _session: object, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            parsed: Message = email.message_from_bytes(cast("bytes", envelope.content), policy=modern)
            self.mails.append((list(envelope.rcpt_tos), cast("EmailMessage", parsed)))
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return self.answer

    def authenticate(self, _server: object, _session: object, _envelope: object, _how: str, data: Any) -> Any:
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)


@asynccontextmanager
async def serving(
    post: Post, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> AsyncIterator[Post]:
    # by these names aiosmtpd finds them
    handler = SimpleNamespace(handle_RCPT=post.recipient, handle_DATA=post.content)

    made: list[SMTP] = []

    def protocol() -> SMTP:
        one = SMTP(
            handler,
            hostname="mail.example",
            tls_context=starttls,
            authenticator=post.authenticate,
            auth_require_tls=tls is None,
            loop=asyncio.get_running_loop(),
        )
        made.append(one)
        return one

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        for one in made:
            if one.transport is not None:
                one.transport.close()
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail")
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mail.example"
    extension = ["-addext", "subjectAltName=DNS:mail.example"]
    command = ["openssl", "req", *options.split(), *extension, "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate / "cert.pem"))


def mailbox(port: int, **options: Any) -> Mailbox:
    whole: dict[str, Any] = {
        "host": "mail.example",
        "port": port,
        "encryption": Encryption.IF_OFFERED,
        "sender": "Treasury Watcher <watch@ops.example>",
        "recipients": (ANA, BOB),
        "allow_private": True,
    }
    return Mailbox(**{**whole, **options})


def sender(
    box: Mailbox, *, trust: ssl.SSLContext | None = None, seconds: float = 60.0, to: str = "127.0.0.1"
) -> MailSender:
    async def resolve(_host: str, port: int) -> Sequence[AddressInfo]:
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 0, "", (to, port))]

    return MailSender(
        box, texts("es"), now=lambda: 1_800_000_000.0, resolve=resolve, trust=trust, seconds=seconds
    )


async def attempt(box: Mailbox, *bodies: str, **options: Any) -> Verdict:
    return await sender(box, **options).send(group(*(bodies or (OUTFLOW,))))


async def test_a_mail_says_it_to_all_recipients_and_threads_on_the_incident() -> None:
    async with serving(Post()) as post:
        assert await attempt(mailbox(post.port)) == Delivered(250)
    ((recipients, mail),) = post.mails
    assert recipients == ["ana@ops.example", "bob@ops.example"]
    assert mail["from"] == "Treasury Watcher <watch@ops.example>"
    assert mail["subject"].startswith("[CRÍTICO] Salida de 0.05000000 BTC de El Salvador")
    assert mail["message-id"] == "<evt_1@ops.example>"
    assert mail["in-reply-to"] == mail["references"] == f"<{INCIDENT}@ops.example>"
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert mail.get_content_type() == "text/plain"
    assert TXID in mail.get_content()
    assert "(desconocida)" in mail.get_content()


async def test_a_flood_is_one_mail_with_a_name_of_its_own() -> None:
    async with serving(Post()) as post:
        for _ in range(2):
            assert await attempt(mailbox(post.port), *DUST[:100]) == Delivered(250)
    first, again = (mail["message-id"] for _, mail in post.mails)
    assert first == again
    assert first.startswith("<fold_")


@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: everyone@evil.example\r\n\r\nhello",
        # encoded words (RFC 2047), which a header's parser would decode
        "=?utf-8?q?=0D=0ABcc:_everyone@evil.example?=",
        "=?utf-8?b?DQpCY2M6IGV2ZXJ5b25lQGV2aWwuZXhhbXBsZQ==?=",
        "=?utf-8?b?/w==?= é",
    ],
)
async def test_nothing_in_a_message_makes_a_header(evil: str) -> None:
    async with serving(Post()) as post:
        told = body("source.failed", source=evil, reason=evil, incident="inc_1", severity="info")
        assert await attempt(mailbox(post.port), told) == Delivered(250)
    ((recipients, mail),) = post.mails
    assert len(recipients) == 2
    assert mail["bcc"] is None
    assert evil.partition("\r")[0] in mail["subject"].replace("= ?", "=?")


async def test_encrypted_from_the_start_with_a_login(
    server_side: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with serving(Post(), tls=server_side) as post:
        box = mailbox(post.port, encryption=Encryption.FROM_THE_START, username="watch", password=PASSWORD)
        assert await attempt(box, trust=trusting) == Delivered(250)
        assert post.logins == [("watch", PASSWORD)]
        wrong = mailbox(post.port, encryption=Encryption.FROM_THE_START, username="watch", password="no")
        assert await attempt(wrong, trust=trusting) == Retry(Reason.STATUS_5XX, None, 535)
        assert post.encrypted == [True]


@pytest.mark.parametrize("encryption", [Encryption.BY_STARTTLS, Encryption.IF_OFFERED])
async def test_starttls_is_used_where_it_is_offered(
    server_side: ssl.SSLContext, trusting: ssl.SSLContext, encryption: Encryption
) -> None:
    async with serving(Post(), starttls=server_side) as post:
        box = mailbox(post.port, encryption=encryption, username="watch", password=PASSWORD)
        assert await attempt(box, trust=trusting) == Delivered(250)
        assert post.encrypted == [True]


async def test_without_starttls_nothing_is_said_to_a_server_that_must_offer_it() -> None:
    async with serving(Post()) as post:
        box = mailbox(post.port, encryption=Encryption.BY_STARTTLS, username="watch", password=PASSWORD)
        assert await attempt(box) == Retry(Reason.PROTOCOL)
        assert post.mails == []
        assert post.logins == []


@pytest.mark.parametrize("encryption", [Encryption.FROM_THE_START, Encryption.BY_STARTTLS])
async def test_a_certificate_nobody_vouches_for_is_a_tls_failure(
    server_side: ssl.SSLContext, encryption: Encryption
) -> None:
    if encryption is Encryption.FROM_THE_START:
        serve = serving(Post(), tls=server_side)
    else:
        serve = serving(Post(), starttls=server_side)
    async with serve as post:
        assert await attempt(mailbox(post.port, encryption=encryption)) == Retry(Reason.TLS)
        assert post.mails == []


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("451 try later", Retry(Reason.OVERLOADED, None, 451)),
        ("421 closing", Retry(Reason.OVERLOADED, None, 421)),
        ("554 no", Retry(Reason.STATUS_5XX, None, 554)),
        ("299 what", Retry(Reason.PROTOCOL, None, 299)),
    ],
)
async def test_each_answer_has_its_verdict(answer: str, verdict: Verdict) -> None:
    async with serving(Post(answer=answer)) as post:
        assert await attempt(mailbox(post.port)) == verdict


async def test_all_recipients_refused_is_the_worst_of_their_answers() -> None:
    refuse = {"ana@ops.example": "450 busy", "bob@ops.example": "550 unknown"}
    async with serving(Post(refuse=refuse)) as post:
        assert await attempt(mailbox(post.port)) == Retry(Reason.STATUS_5XX, None, 550)


async def test_a_recipient_who_has_it_is_not_sent_it_again() -> None:
    async with serving(Post(refuse={"bob@ops.example": "450 busy"})) as post:
        client = sender(mailbox(post.port))
        assert await client.send(group(OUTFLOW)) == Retry(Reason.OVERLOADED, None, 450)
        post.refuse.clear()
        assert await client.send(group(OUTFLOW)) == Delivered(250)
        assert [recipients for recipients, _ in post.mails] == [["ana@ops.example"], ["bob@ops.example"]]
        assert await client.send(group(OUTFLOW)) == Delivered(250)  # asked for anew: to all
        assert len(post.mails[-1][0]) == 2


async def test_a_server_that_hangs_is_given_up_in_time() -> None:
    ended = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        began = time.monotonic()
        assert await attempt(mailbox(port), seconds=0.2) == Retry(Reason.TIMEOUT)
        assert time.monotonic() - began < TOTAL_SECONDS  # which an attempt has where nobody says otherwise
        await asyncio.wait_for(ended.wait(), 30)  # our side is closed


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"", Reason.CONNECTION),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.CONNECTION),
        (b"2" * 100_000, Reason.CONNECTION),
        (b"554 go away\r\n", Reason.STATUS_5XX),
    ],
)
async def test_what_is_no_mail_server_is_a_failure(greeting: bytes, reason: Reason) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        verdict = await attempt(mailbox(server.sockets[0].getsockname()[1]))
        assert isinstance(verdict, Retry)
        assert verdict.reason in {reason, Reason.PROTOCOL}


async def test_nobody_listening_is_a_connection_failure() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert await attempt(mailbox(reserved.getsockname()[1])) == Retry(Reason.CONNECTION)


async def test_a_name_that_does_not_resolve_is_a_dns_failure() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[AddressInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    client = MailSender(mailbox(25), texts("en"), now=time.time, resolve=resolve)
    assert await client.send(group(OUTFLOW)) == Retry(Reason.DNS)


@pytest.mark.parametrize("host", ["mail..example", f"{'a' * 64}.example"])
async def test_a_name_that_no_resolver_takes_is_a_dns_failure(host: str) -> None:
    client = MailSender(mailbox(25, host=host), texts("en"), now=time.time)
    assert await client.send(group(OUTFLOW)) == Retry(Reason.DNS)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"])
async def test_a_private_address_is_refused_where_it_is_not_allowed(address: str) -> None:
    async with serving(Post()) as post:
        box = mailbox(post.port, allow_private=False)
        assert await attempt(box, to=address) == Retry(Reason.FORBIDDEN_ADDRESS)
        assert post.mails == []


async def test_no_secret_shows_in_texts_logs_or_verdicts(
    server_side: ssl.SSLContext, trusting: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail").setLevel(logging.CRITICAL)  # the test's own server
    async with serving(Post(answer="554 no"), tls=server_side) as post:
        box = mailbox(
            post.port, encryption=Encryption.FROM_THE_START, username="watch-user", password=PASSWORD
        )
        client = sender(box, trust=trusting)
        shown = [repr(box), repr(client), repr(vars(client)), repr(await client.send(group(OUTFLOW)))]
    everything = "\n".join([*shown, caplog.text])
    assert PASSWORD not in everything
    assert "watch-user" not in everything
