"""From the config's words to what each part takes."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watcher.app.endpoints import sender_of
from watcher.app.reach import extra_headers, reach_of
from watcher.config.credentials import SecretProblem, read_secret, read_url
from watcher.config.settings import SOURCE_SCHEMES
from watcher.core.known import Terms
from watcher.core.rules import Policy
from watcher.delivery.texts.message import Texts
from watcher.delivery.texts.words import Named
from watcher.ledger.commit import Settings as CommitSettings
from watcher.sources.dial import Authorities, Pin
from watcher.sources.electrum import ElectrumSource
from watcher.sources.esplora import EsploraSource
from watcher.sources.mempool import MempoolSource
from watcher.sources.proxy import Socks
from watcher.sources.rest import Asking
from watcher.web.access import Guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watcher.app.reach import Reach
    from watcher.bitcoin.networks import Network
    from watcher.config.credentials import SecretFile
    from watcher.config.settings import Config, SourceConfig
    from watcher.core.fiat import RateAt
    from watcher.delivery.endpoint import Sender
    from watcher.sources.dial import FirstUse, Tls
    from watcher.sources.kinds import AnySource

log = logging.getLogger(__name__)


def commit_settings(config: Config, log: str, rate: RateAt) -> CommitSettings:
    """What a commit depends on."""
    return CommitSettings(
        terms=Terms(config.network, log, config.finality, int(config.timing.dropped_after * 1000)),
        policy=Policy(
            rules=config.rules,
            finality=config.finality,
            dust_sats={treasury.name: treasury.dust_sats for treasury in config.treasuries},
            endpoints=tuple(endpoint.name for endpoint in config.endpoints),
        ),
        external_url=external_url(config),
        rate=rate,
    )


def external_url(config: Config) -> str:
    """Where links in alerts lead; empty where nobody said."""
    return "" if config.http.external_url is None else config.http.external_url.reveal()


def sources_of(
    config: Config, environ: Mapping[str, str], key_of: Callable[[str], FirstUse]
) -> tuple[AnySource, ...]:
    """The sources, `key_of` those that are trusted on first use.

    `SecretProblem` where a URL or headers kept elsewhere cannot be had.
    """
    return tuple(_source(source, config.network, environ, key_of) for source in config.sources)


def _source(
    source: SourceConfig, network: Network, environ: Mapping[str, str], key_of: Callable[[str], FirstUse]
) -> AnySource:
    url = read_url(source.url, schemes=SOURCE_SCHEMES[source.kind], environ=environ).reveal()
    tls = _tls(source, key_of)
    if source.kind == "electrum":
        return ElectrumSource(
            source.name,
            url,
            network,
            clock=time.time,
            draw=random.random,
            tls=tls,
            charges=not source.trusted,
            budget=tuple((budget.requests, budget.seconds) for budget in source.budgets),
            proxy=_proxy(source),
        )
    asking = Asking(
        proxy=_proxy(source),
        budget=tuple((budget.requests, budget.seconds) for budget in source.budgets),
        headers=dict(extra_headers(source.headers, environ)),
    )
    kind = MempoolSource if source.kind == "mempool" else EsploraSource
    return kind(source.name, url, network, clock=time.time, draw=random.random, tls=tls, asking=asking)


def _tls(source: SourceConfig, key_of: Callable[[str], FirstUse]) -> Tls:
    if source.tls == "tofu":
        return key_of(source.name)
    return Authorities() if source.pin is None else Pin(bytes.fromhex(source.pin))


def _proxy(source: SourceConfig) -> Socks | None:
    if source.proxy is None:
        return None
    parts = urlsplit(source.proxy.reveal())
    return Socks(source.proxy.host, source.proxy.port, source.name, parts.username, parts.password)


def reaches_of(config: Config, environ: Mapping[str, str]) -> dict[str, Reach]:
    """How to reach each endpoint; `SecretProblem` where a secret cannot be had or used."""
    reaches = {endpoint.name: reach_of(endpoint, environ) for endpoint in config.endpoints}
    for name, reach in reaches.items():
        sender_of(name, reach, Texts(reach.lang, {}))
    return reaches


def senders(reaches: Mapping[str, Reach], config: Config) -> dict[str, Sender]:
    """A sender for each, to be entered; a former endpoint that cannot be used any more gets none."""
    treasuries = {t.name: Named(t.title, t.attribution) for t in config.treasuries}
    made: dict[str, Sender] = {}
    for name, reach in reaches.items():
        try:
            made[name] = sender_of(name, reach, Texts(reach.lang, treasuries))
        except SecretProblem as problem:
            log.error("a former endpoint cannot be used: %s", problem)  # noqa: TRY400 - it says it all
    return made


def door(config: Config, environ: Mapping[str, str]) -> Guarded:
    """Who may come in by the listening address."""

    def token(file: SecretFile | None) -> str | None:
        return None if file is None else read_secret(file, environ=environ).reveal()

    return Guarded(
        external_url=external_url(config),
        public=config.http.public,
        read_token=token(config.http.read_token),
        admin_token=token(config.http.admin_token),
    )
