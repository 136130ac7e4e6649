"""What is needed to reach an endpoint, its secrets included: read once, when its config is accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from watcher.config.credentials import SecretProblem, read_secret, read_signing_secret, read_url
from watcher.config.models import EndpointKind, Lang  # noqa: TC001 - msgspec reads the annotations
from watcher.config.urls import Url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.config.credentials import SecretFile, UrlReference
    from watcher.config.settings import Endpoint

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110: a token

Place: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """An endpoint without its name, every secret in clear; only the kind shows in its text form."""

    kind: EndpointKind
    urls: tuple[str, ...] = field(repr=False)
    secret: str | None = field(repr=False)
    previous_secret: str | None = field(repr=False)
    allow_private: bool = field(repr=False)
    lang: Lang = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    options: dict[str, str | tuple[str, ...]] = field(repr=False)

    @property
    def place(self) -> Place:
        """Who is told: equal for two reaches that lead to the same people, whatever else changed."""
        return (self.kind, self.urls, sorted(self.options.items()))


def reach_of(endpoint: Endpoint, environ: Mapping[str, str]) -> Reach:
    """The endpoint with its secrets read; `SecretProblem` where one cannot be had."""
    secret, previous = endpoint.secret, endpoint.previous_secret
    read = read_signing_secret if endpoint.kind == "webhook" else read_secret
    return Reach(
        kind=endpoint.kind,
        urls=tuple(_url(endpoint, url, environ) for url in endpoint.urls),
        secret=None if secret is None else read(secret, environ=environ).reveal(),
        previous_secret=None if previous is None else read(previous, environ=environ).reveal(),
        allow_private=endpoint.allow_private,
        lang=endpoint.lang,
        headers=extra_headers(endpoint.headers, environ),
        options=dict(endpoint.options),
    )


def _url(endpoint: Endpoint, url: UrlReference, environ: Mapping[str, str]) -> str:
    if endpoint.kind == "apprise" and not isinstance(url, Url):
        return read_secret(url, environ=environ).reveal()  # its schemes are its own
    return read_url(url, schemes=endpoint.schemes, environ=environ).reveal()


def extra_headers(file: SecretFile | None, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Extra headers, one `Name: value` a line; `SecretProblem` where they cannot be had."""
    if file is None:
        return ()
    pairs = []
    for line in read_secret(file, environ=environ).reveal().splitlines():
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME(name.strip()) or not value.strip().isprintable():
            raise SecretProblem(f"{file.path}: a header is written `Name: value`")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)
