"""From what is needed to reach an endpoint to the sender for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never
from urllib.parse import unquote, urlsplit

from watcher.config.credentials import SecretProblem
from watcher.config.settings import endpoint_schemes
from watcher.config.urls import parse_url
from watcher.delivery.alertmanager import PATH as ALERTS
from watcher.delivery.alertmanager import AlertmanagerSender
from watcher.delivery.apprise import AppriseSender
from watcher.delivery.chat import ChatSender
from watcher.delivery.endpoint import HttpTarget
from watcher.delivery.http import Poster
from watcher.delivery.mail import Encryption, Mailbox, MailSender
from watcher.delivery.ntfy import Ntfy
from watcher.delivery.signing import Signer
from watcher.delivery.slack import Slack
from watcher.delivery.telegram import API as TELEGRAM
from watcher.delivery.telegram import Telegram, send_message_url
from watcher.delivery.webhook import WebhookSender

if TYPE_CHECKING:
    from watcher.app.reach import Reach
    from watcher.delivery.chat import ChatKind
    from watcher.delivery.endpoint import Sender
    from watcher.delivery.texts.message import Texts

_SUBMISSIONS: Final = {"smtps": 465, "smtp": 587}


def sender_of(name: str, reach: Reach, texts: Texts) -> Sender:
    """The sender, to be entered; `SecretProblem` where a secret cannot be used."""
    try:
        return _Plans(name, reach, texts).sender()
    except ValueError as error:
        raise SecretProblem(f"endpoint {name}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Plans:
    """An endpoint about to become a sender."""

    name: str
    reach: Reach
    texts: Texts

    def sender(self) -> Sender:
        """By its kind."""
        reach = self.reach
        match reach.kind:
            case "webhook":
                made = self.webhook()
            case "alertmanager":
                posters = [self.poster(f"{url.rstrip('/')}{ALERTS}") for url in reach.urls]
                made = AlertmanagerSender(posters, self.texts, now=time.time)
            case "ntfy":
                made = self.chat(f"{reach.urls[0].rstrip('/')}/", Ntfy(self.option("topic"), reach.secret))
            case "telegram":
                base = reach.urls[0] if reach.urls else TELEGRAM
                if reach.secret is None:
                    raise SecretProblem("a telegram endpoint needs a token")
                made = self.chat(send_message_url(base, reach.secret), Telegram(self.option("chat")))
            case "slack":
                made = self.chat(reach.urls[0], Slack())
            case "email":
                made = self.mail()
            case "apprise":
                made = AppriseSender(reach.urls[0], self.texts, now=time.time)
            case _:
                assert_never(reach.kind)
        return made

    def option(self, name: str) -> str:
        """What the config checked to be one text."""
        value = self.reach.options[name]
        assert isinstance(value, str)
        return value

    def webhook(self) -> Sender:
        """Signed, each event by itself."""
        if self.reach.secret is None:
            raise SecretProblem("a webhook needs a signing secret")
        signer = Signer(self.reach.secret, self.reach.previous_secret)
        return WebhookSender(self.poster(self.reach.urls[0]), signer, now=time.time)

    def chat(self, url: str, kind: ChatKind) -> Sender:
        """To one conversation."""
        return ChatSender(self.poster(url), kind, self.texts, now=time.time)

    def mail(self) -> Sender:
        """The user stands in the URL, the password beside it or there too."""
        reach = self.reach
        url = parse_url(reach.urls[0], endpoint_schemes(reach.kind, allow_private=reach.allow_private))
        parts = urlsplit(url.reveal())
        recipients = reach.options["to"]
        assert isinstance(recipients, tuple)
        encryption = Encryption.FROM_THE_START
        if url.scheme == "smtp":
            encryption = Encryption.IF_OFFERED if reach.allow_private else Encryption.BY_STARTTLS
        mailbox = Mailbox(
            host=url.host,
            port=parts.port or _SUBMISSIONS[url.scheme],
            encryption=encryption,
            sender=self.option("from"),
            recipients=recipients,
            username=None if parts.username is None else unquote(parts.username),
            password=reach.secret or unquote(parts.password or ""),
            allow_private=reach.allow_private,
        )
        return MailSender(mailbox, self.texts, now=time.time)

    def poster(self, url: str) -> Poster:
        """To one URL."""
        target = HttpTarget(
            name=self.name, url=url, allow_private=self.reach.allow_private, headers=self.reach.headers
        )
        return Poster(target, now=time.time)
