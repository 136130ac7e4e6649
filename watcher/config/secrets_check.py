"""The secrets a config names, each tried where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.config.build import WEB_SCHEMES
from watcher.config.credentials import (
    SecretNotReadable,
    SecretProblem,
    read_secret,
    read_signing_secret,
    read_url,
)
from watcher.config.settings import SOURCE_SCHEMES
from watcher.config.urls import Url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from watcher.config.credentials import SecretReference
    from watcher.config.errors import ConfigError
    from watcher.config.settings import Config, Endpoint

    Wanted: TypeAlias = tuple[SecretReference, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SecretReport:
    """`wrong` cannot be used by anyone; `not_checked` may be right, and this user may not look."""

    wrong: tuple[ConfigError, ...]
    not_checked: tuple[ConfigError, ...]


def check_secrets(config: Config, *, environ: Mapping[str, str]) -> SecretReport:
    """Reads every secret and URL the config names and keeps none of them."""
    wrong, not_checked = [], []
    for reference, form, schemes in _wanted(config):
        try:
            match form:
                case "signing":
                    read_signing_secret(reference, environ=environ)
                case "url":
                    read_url(reference, schemes=schemes, environ=environ)
                case _:
                    read_secret(reference, environ=environ)
        except SecretNotReadable as problem:
            not_checked.append(reference.place.error(f"not checked: {problem}"))
        except SecretProblem as problem:
            wrong.append(reference.place.error(str(problem)))
    return SecretReport(tuple(wrong), tuple(not_checked))


def _wanted(config: Config) -> Iterator[Wanted]:
    for token in (config.http.read_token, config.http.admin_token):
        if token is not None:
            yield token, "text", ()
    for source in config.sources:
        if not isinstance(source.url, Url):
            yield source.url, "url", SOURCE_SCHEMES[source.kind]
        if source.headers is not None:
            yield source.headers, "text", ()
    for endpoint in config.endpoints:
        yield from _of_endpoint(endpoint)
    if config.heartbeat is not None:
        for url in (config.heartbeat.url, config.heartbeat.fail_url):
            if url is not None and not isinstance(url, Url):
                yield url, "url", WEB_SCHEMES


def _of_endpoint(endpoint: Endpoint) -> Iterator[Wanted]:
    for url in endpoint.urls:
        if not isinstance(url, Url) and endpoint.kind != "apprise":  # whose URLs have schemes of its own
            yield url, "url", endpoint.schemes
    form = "signing" if endpoint.kind == "webhook" else "text"
    for secret in (endpoint.secret, endpoint.previous_secret):
        if secret is not None:
            yield secret, form, ()
    if endpoint.headers is not None:
        yield endpoint.headers, "text", ()
