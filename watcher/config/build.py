"""The tables that describe servers, rules and people, joined: references, URLs and what belongs together."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.config import presets, supported
from watcher.config.credentials import SecretCredential, SecretFile
from watcher.config.errors import nearest
from watcher.config.models import EndpointTable, HeartbeatTable, SourceTable
from watcher.config.settings import (
    SOURCE_SCHEMES,
    Endpoint,
    Fiat,
    Heartbeat,
    SourceConfig,
    endpoint_schemes,
)
from watcher.config.urls import Url, parse_url
from watcher.core.claims import Claim, Covers, Says
from watcher.core.rules_types import BALANCES, CONDITIONS, FLOWS, Rule, Severity, Topic, parse_rung

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watcher.bitcoin.networks import Network
    from watcher.config.credentials import SecretReference, UrlReference
    from watcher.config.document import Place
    from watcher.config.errors import ConfigError
    from watcher.config.models import ClaimTable, FiatTable, Lang, RuleTable

_PIN = re.compile(r"sha256:([0-9a-fA-F]{64})")
# what every mail server takes: a dot-atom at a domain, or at an address in brackets (RFC 5321)
_MAILBOX: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f.:]+\])"
)
WEB_SCHEMES: Final = ("https", "http")
_UrlTable: TypeAlias = SourceTable | EndpointTable | HeartbeatTable


def source(
    network: Network, place: Place, table: SourceTable, errors: list[ConfigError]
) -> SourceConfig | None:
    """A source, or None where neither it nor its preset has a kind and a URL that can be used."""
    filled = presets.filled(table, network, place, errors)
    if filled is None:
        return None
    table = filled
    if table.kind == "electrum" and "headers_file" in table.model_fields_set:  # an explorer is sent them
        errors.append(place.at("headers_file").error('headers_file is not for kind "electrum"'))
    if table.kind is None:
        if "preset" not in table.model_fields_set:
            errors.append(place.at("kind").error("is required"))
        return None
    url = url_reference(table, place, SOURCE_SCHEMES[table.kind], errors)
    if url is None:
        return None
    _check_tls(table, url, place, errors)
    pin = _PIN.fullmatch(table.pin) if table.pin is not None else None
    return SourceConfig(
        name=table.name,
        kind=table.kind,
        url=url,
        trusted=table.trusted,
        operator=table.operator,
        tls=table.tls or ("pin" if pin else "ca"),
        pin=pin.group(1).lower() if pin else None,
        proxy=optional_url(table.proxy, place.at("proxy"), ("socks5h", "socks5"), errors),
        budgets=table.budget,
        headers=secret_file(table.headers_file, place.at("headers_file")),
    )


def rule(finality: int, place: Place, table: RuleTable, errors: list[ConfigError]) -> Rule:
    """A rule; its references are checked by `known_words`."""
    topics = tuple(dict.fromkeys(topic for word in table.on for topic in _topics(word)))
    _check_rule(table, frozenset(topics), place, errors)
    rungs = []
    for index, written in enumerate(table.at):
        try:
            rungs.append(parse_rung(written, finality=finality))
        except ValueError as error:
            errors.append(place.at("at", index).error(str(error)))
    return Rule(
        name=table.name,
        on=topics,
        treasuries=tuple(table.treasuries),
        min_sats=table.min_btc,
        at=tuple(dict.fromkeys(rungs)),
        severity=Severity(table.severity),
        send_to=tuple(dict.fromkeys(table.send_to)),
        dormant_days=table.dormant_days,
        btc_sats=table.btc,
        for_seconds=table.for_,
    )


def endpoint(lang: Lang, place: Place, table: EndpointTable, errors: list[ConfigError]) -> Endpoint:
    """An endpoint; `lang` is the one of the whole config."""
    given = frozenset(_written(key) for key in table.model_fields_set)
    errors.extend(supported.missing_extra(place, table.kind))
    form = _FORMS[table.kind]
    strange = sorted(given - form.keys - _COMMON)
    errors.extend(place.at(key).error(f'{key} is not for kind "{table.kind}"') for key in strange)
    lacking = [choice for choice in form.needs if not given.intersection(choice)]
    errors.extend(place.error(f'kind "{table.kind}" needs {" or ".join(choice)}') for choice in lacking)
    if {"secret_file", "secret_credential"} <= given:
        errors.append(place.at("secret_credential").error("give secret_file or secret_credential, not both"))
    errors.extend(_mailboxes(table, place))
    options = {"topic": table.topic, "chat": table.chat, "from": table.from_, "to": table.to or ()}
    return Endpoint(
        name=table.name,
        kind=table.kind,
        urls=_endpoint_urls(table, form, place, errors),
        secret=_secret(table, place),
        previous_secret=secret_file(table.previous_secret_file, place.at("previous_secret_file")),
        allow_private=table.allow_private,
        canary=table.canary,
        lang=table.lang or lang,
        headers=secret_file(table.headers_file, place.at("headers_file")),
        options={key: value for key, value in options.items() if value},
    )


def claim(place: Place, table: ClaimTable, errors: list[ConfigError]) -> Claim:
    """A claim; a tolerance stands with `about` and nowhere else."""
    if (table.says == "about") != (table.tolerance_btc is not None):
        text = "is required by `about`" if table.says == "about" else f'means nothing with "{table.says}"'
        errors.append(place.at("tolerance_btc").error(text))
    return Claim(
        id=table.id,
        says=Says(table.says),
        sats=table.btc,
        tolerance_sats=table.tolerance_btc,
        as_of=table.as_of,
        standing=table.standing,
        covers=Covers(table.covers),
        role=table.role,
        by=table.by,
        quote=table.quote,
        source=table.source,
        archived=table.archived,
        read=table.read,
    )


def fiat(place: Place, table: FiatTable, errors: list[ConfigError]) -> Fiat:
    """Where the rate comes from: `mempool` has a URL, `fixed` a rate."""
    needs, other = ("rate", "url") if table.kind == "fixed" else ("url", "rate")
    if getattr(table, needs) is None:
        errors.append(place.at(needs).error(f'is required by kind "{table.kind}"'))
    if getattr(table, other) is not None:
        errors.append(place.at(other).error(f'is not for kind "{table.kind}"'))
    url = optional_url(table.url, place.at("url"), WEB_SCHEMES, errors)
    return Fiat(table.currency, table.kind, url, table.rate)


def heartbeat(place: Place, table: HeartbeatTable, errors: list[ConfigError]) -> Heartbeat | None:
    """Whom to ping, or None after saying what is wrong with the URL."""
    url = url_reference(table, place, WEB_SCHEMES, errors)
    fail_url = secret_file(table.fail_url_file, place.at("fail_url_file"))
    return Heartbeat(url, fail_url, table.every) if url else None


def known_words(
    words: object, known: Collection[str], what: str, place: Place, errors: list[ConfigError]
) -> None:
    """Adds an error for each text in a list that names nothing, with the nearest name there is."""
    for index, word in enumerate(words if isinstance(words, list) else []):
        if isinstance(word, str) and word not in known:
            errors.append(
                place.at(index).error(f"no {what} has the name {word[:64]!a}{nearest(word, known)}")
            )


def url_reference(
    table: _UrlTable, place: Place, schemes: tuple[str, ...], errors: list[ConfigError]
) -> UrlReference | None:
    """The one URL of a table, or where it is kept, or None after saying what is wrong."""
    given = table.model_fields_set.intersection(_URL)
    if len(given) != 1:
        errors.append(place.error("needs exactly one of url, url_file, url_credential"))
        return None
    if table.url_credential is not None:
        return SecretCredential(table.url_credential, place.at("url_credential"))
    return secret_file(table.url_file, place.at("url_file")) or optional_url(
        table.url, place.at("url"), schemes, errors
    )


def optional_url(
    text: str | None, place: Place, schemes: tuple[str, ...], errors: list[ConfigError]
) -> Url | None:
    """A URL, or None where there is none or after saying what is wrong with it."""
    if not text:
        return None
    try:
        return parse_url(text, schemes)
    except ValueError as error:
        errors.append(place.error(str(error)))
        return None


def link(text: str, place: Place, errors: list[ConfigError]) -> Url | None:
    """What links begin with, for everybody to see: no user, and nothing behind the path; None where empty."""
    url = optional_url(text, place, WEB_SCHEMES, errors)
    if url is not None and any(mark in text for mark in "@?#{}"):
        errors.append(place.error("has only a scheme, a host, a port and a path: links begin with it"))
        return None
    return url


def secret_file(path: str | None, place: Place) -> SecretFile | None:
    """The file a key names, found from the folder of the config that names it."""
    return None if path is None else SecretFile(place.document.folder / path, place)


@dataclass(frozen=True, slots=True)
class _Form:
    """What a kind of endpoint needs (one of each choice) and may have besides."""

    needs: tuple[tuple[str, ...], ...]
    may: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.may).union(*self.needs)


_COMMON: Final = frozenset({"name", "kind", "allow_private", "canary", "lang"})
_URL: Final = ("url", "url_file", "url_credential")
_HEADERS: Final = "headers_file"  # for what speaks HTTP by our own hand
_FORMS: Final = {
    "webhook": _Form((_URL, ("secret_file", "secret_credential")), ("previous_secret_file", _HEADERS)),
    "alertmanager": _Form((("urls",),), (_HEADERS,)),
    "ntfy": _Form((_URL, ("topic",)), ("token_file", _HEADERS)),
    "telegram": _Form((("token_file",), ("chat",)), (*_URL, _HEADERS)),
    "slack": _Form((_URL,), (_HEADERS,)),
    "email": _Form((_URL, ("from",), ("to",)), ("password_file",)),
    "apprise": _Form((("url_file", "url_credential"),)),
}


def _written(field: str) -> str:
    return field.removesuffix("_")


def _topics(word: str) -> tuple[Topic, ...]:
    return FLOWS if word == "any" else (Topic(word),)


def _check_rule(table: RuleTable, topics: frozenset[Topic], place: Place, errors: list[ConfigError]) -> None:
    """Each figure stands exactly where its topic does: elsewhere it would promise what it does not do."""
    for key, value, wanted in (
        ("btc", table.btc, bool(topics & BALANCES)),
        ("dormant_days", table.dormant_days, Topic.DORMANT in topics),
    ):
        if (value is not None) != wanted:
            text = "is required by this `on`" if wanted else "means nothing with this `on`"
            errors.append(place.at(key).error(text))
    if table.for_ and not topics & CONDITIONS:
        errors.append(place.at("for").error("is for conditions, and `on` names none"))


def _check_tls(table: SourceTable, url: UrlReference, place: Place, errors: list[ConfigError]) -> None:
    if isinstance(url, Url) and url.scheme in {"tcp", "http"} and (table.tls or table.pin):
        errors.append(place.at("tls" if table.tls else "pin").error(f"{url.scheme}:// is not encrypted"))
    if table.tls == "pin" and "pin" not in table.model_fields_set:
        errors.append(place.at("tls").error('"pin" needs the key pin = "sha256:…"'))
    if table.pin is not None and table.tls not in {None, "pin"}:
        errors.append(place.at("pin").error(f'is not used with tls = "{table.tls}"'))
    if table.pin is not None and not _PIN.fullmatch(table.pin):
        errors.append(place.at("pin").error('must be "sha256:" and 64 hex digits'))


def _endpoint_urls(
    table: EndpointTable, form: _Form, place: Place, errors: list[ConfigError]
) -> tuple[UrlReference, ...]:
    schemes = endpoint_schemes(table.kind, allow_private=table.allow_private)
    if table.urls is not None:
        parsed = [optional_url(url, place.at("urls", i), schemes, errors) for i, url in enumerate(table.urls)]
        return tuple(url for url in parsed if url)
    if not form.keys.intersection(_URL) or not table.model_fields_set.intersection(_URL):
        return ()
    if table.url is not None and table.url.startswith("http://") and not table.allow_private:
        errors.append(
            place.at("url").error("http:// is only for one's own network: https://, or allow_private = true")
        )
        return ()
    url = url_reference(table, place, schemes, errors)
    return (url,) if url else ()


def _mailboxes(table: EndpointTable, place: Place) -> Iterator[ConfigError]:
    named = [("from", table.from_), *(("to", each) for each in table.to or ())]
    for key, text in named:
        if text is not None and not _MAILBOX.fullmatch(parseaddr(text)[1]):
            yield place.at(key).error(f"{text[:64]!a} is not an e-mail address")


def _secret(table: EndpointTable, place: Place) -> SecretReference | None:
    if table.secret_credential is not None:
        return SecretCredential(table.secret_credential, place.at("secret_credential"))
    for key in ("secret_file", "token_file", "password_file"):
        if (found := secret_file(getattr(table, key), place.at(key))) is not None:
            return found
    return None
