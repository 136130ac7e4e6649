"""A config from its files to one checked value, or everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from watcher.config import build
from watcher.config.document import NO_NAME, Document, Place, read_document, refuse_pipe
from watcher.config.errors import ConfigError, ConfigErrors
from watcher.config.garbage import collector_paused
from watcher.config.models import (
    CanaryTable,
    ClaimTable,
    ConfigTable,
    EndpointTable,
    FiatTable,
    HeartbeatTable,
    HttpTable,
    LogTable,
    QuorumTable,
    RuleTable,
    SourceTable,
    Table,
    TimingTable,
    TreasuryTable,
)
from watcher.config.settings import (
    Canary,
    Config,
    Endpoint,
    Fiat,
    Heartbeat,
    Http,
    Quorum,
    SourceConfig,
    Timing,
    Treasury,
)
from watcher.config.tables import array, declared, joined, table, tolerated, unique, validated
from watcher.config.urls import ListenTcp, parse_listen
from watcher.config.watches import WatchList
from watcher.core.rules_types import EVERY_TREASURY

if TYPE_CHECKING:
    from watcher.config.urls import Listen
    from watcher.core.claims import Claim
    from watcher.core.rules_types import Rule

_SECTIONS = (
    "http",
    "quorum",
    "timing",
    "canary",
    "sources",
    "treasuries",
    "rules",
    "endpoints",
    "fiat",
    "heartbeat",
    "log",
)
_MOST_INCLUDED = 1_000
_MAGIC = re.compile(r"[*?\[]")
_Tables: TypeAlias = list[tuple[Place, Mapping[str, object]]]
T = TypeVar("T", bound=Table)
_DEFAULT_LISTEN = ListenTcp("127.0.0.1", 9342)


def load_config(path: Path, *, environ: Mapping[str, str]) -> Config:
    """The config in this file and those it includes; raises `ConfigErrors` with every error found.

    No secret is read here: `check_secrets` does that.
    """
    with collector_paused():
        reading = _Reading(read_document(path), environ)
        config = reading.config()
    if reading.errors or config is None:
        main = reading.document.file
        raise ConfigErrors(sorted(reading.errors, key=lambda e: (e.file != main, str(e.file), e.line or 0)))
    return config


@dataclass(slots=True)
class _Reading:
    """One reading of a config: what is wrong is added to `errors`, and the rest is read on."""

    document: Document
    environ: Mapping[str, str]
    errors: list[ConfigError] = field(default_factory=list)
    doubts: list[ConfigError] = field(default_factory=list)

    def config(self) -> Config | None:
        top, raw = self.document.top, self.document.content
        head = tolerated(ConfigTable, {k: v for k, v in raw.items() if k not in _SECTIONS}, top, self.errors)
        sources = array(raw, "sources", top, self.errors)
        treasuries = [
            *array(raw, "treasuries", top, self.errors),
            *self._included(head),
            *self._catalogue(head),
        ]
        endpoints = array(raw, "endpoints", top, self.errors)
        if not sources:
            self.errors.append(top.error("needs at least one [[sources]]"))
        names = {
            "source": self._names(sources, "source"),
            "treasury": self._names(treasuries, "treasury"),
            "endpoint": self._names(endpoints, "endpoint"),
        }
        state = self._state_directory(head)
        timing = self._section(TimingTable, "timing")
        made = Config(
            file=self.document.file,
            network=head.network,
            state_directory=state or Path(),
            finality=head.finality,
            show_addresses=head.show_addresses,
            lang=head.lang,
            http=self._http(),
            quorum=Quorum(self._section(QuorumTable, "quorum").sources),
            timing=Timing(timing.reread, timing.stale_after, timing.dropped_after),
            canary=Canary(self._section(CanaryTable, "canary").every),
            sources=self._sources(head, sources),
            treasuries=self._treasuries(head, treasuries, names["source"]),
            rules=self._rules(head, names),
            endpoints=self._endpoints(head, endpoints),
            fiat=self._fiat(),
            heartbeat=self._heartbeat(),
            log_format=self._section(LogTable, "log").format,
            doubts=tuple(self.doubts),
        )
        return None if state is None else made

    def _names(self, tables: _Tables, what: str) -> list[str]:
        """The names declared, also by tables that are wrong elsewhere: they are no unknown names."""
        found = declared(tables)
        unique(found, what, self.errors)
        return [name for _, name in found]

    def _section(self, model: type[T], key: str) -> T:
        top = self.document.top
        return tolerated(model, table(self.document.content, key, top, self.errors), top.at(key), self.errors)

    def _included(self, head: ConfigTable) -> _Tables:
        """The files that `include` names: each is one treasury at its top level."""
        files: list[Path] = []
        for index, pattern in enumerate(head.include):
            place = self.document.top.at("include", index)
            anchor = Path(pattern).anchor  # empty, or "/" where the pattern is absolute
            try:
                found = sorted(Path(anchor or self.document.folder).glob(pattern.removeprefix(anchor)))
            except (ValueError, IndexError, AttributeError, OSError, RecursionError):
                # pathlib's own, for `**.toml`, `.` and `./`, or a name too long or too deep
                self.errors.append(place.error("is not a file or a pattern, as in treasuries/*.toml"))
                continue
            if not found and not _MAGIC.search(pattern):
                self.errors.append(place.error("no such file"))
            files.extend(found)
            if len(files) > _MOST_INCLUDED:
                self.errors.append(place.error(f"more than {_MOST_INCLUDED} files"))
                return []
        return self._read(list(dict.fromkeys(files)))

    def _catalogue(self, head: ConfigTable) -> _Tables:
        files = catalogue()
        known = [name for name in head.catalogue if name in files]
        place = self.document.top.at("catalogue")
        build.known_words(head.catalogue, files, "treasury of the catalogue", place, self.errors)
        return self._read([files[name] for name in dict.fromkeys(known)])

    def _read(self, files: list[Path]) -> _Tables:
        tables: _Tables = []
        for file in files:
            try:
                refuse_pipe(file)
                document = read_document(file)
            except ConfigErrors as unreadable:
                self.errors.extend(unreadable.errors)
            else:
                tables.append((document.top, document.content))
        return tables

    def _state_directory(self, head: ConfigTable) -> Path | None:
        """The first state directory that systemd gives, else the XDG state home."""
        place = self.document.top.at("state_directory")
        if head.state_directory is not None:
            if "\0" in head.state_directory:
                self.errors.append(place.error(NO_NAME))
                return None
            return self.document.folder / head.state_directory
        if given := self.environ.get("STATE_DIRECTORY", "").split(":")[0]:
            return Path(given)
        if home := self.environ.get("XDG_STATE_HOME"):
            return Path(home) / "treasury-watcher"
        if home := self.environ.get("HOME"):
            return Path(home) / ".local" / "state" / "treasury-watcher"
        self.errors.append(
            place.error("is required where neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is set")
        )
        return None

    def _http(self) -> Http:
        http, place = self._section(HttpTable, "http"), self.document.top.at("http")
        listen: Listen = _DEFAULT_LISTEN
        try:
            listen = parse_listen(http.listen, folder=self.document.folder)
        except ValueError as error:
            self.errors.append(place.at("listen").error(str(error)))
        guarded = http.public or http.read_token_file is not None
        if isinstance(listen, ListenTcp) and not listen.is_loopback and not guarded:
            text = (
                "others could read everything: listen on 127.0.0.1, or set read_token_file, or public = true"
            )
            self.errors.append(place.at("listen").error(text))
        return Http(
            listen=listen,
            external_url=build.link(http.external_url, place.at("external_url"), self.errors),
            public=http.public,
            read_token=build.secret_file(http.read_token_file, place.at("read_token_file")),
            admin_token=build.secret_file(http.admin_token_file, place.at("admin_token_file")),
            explorer=build.link(http.explorer, place.at("explorer"), self.errors),
        )

    def _sources(self, head: ConfigTable, tables: _Tables) -> tuple[SourceConfig, ...]:
        made = [
            joined(SourceTable, raw, place, self.errors, partial(build.source, head.network, place))
            for place, raw in tables
        ]
        return tuple(source for source in made if source)

    def _treasuries(self, head: ConfigTable, tables: _Tables, sources: list[str]) -> tuple[Treasury, ...]:
        # a network that is itself wrong would make every address wrong
        known = self.document.content.get("network", head.network) == head.network
        watch_list = WatchList(head.network if known else None, self.errors, self.doubts)
        made = [self._treasury(place, raw, watch_list, sources) for place, raw in tables]
        return tuple(treasury for treasury in made if treasury)

    def _treasury(
        self, place: Place, raw: Mapping[str, object], watch_list: WatchList, sources: list[str]
    ) -> Treasury | None:
        own = {key: value for key, value in raw.items() if key not in {"watch", "claims"}}
        checked = validated(TreasuryTable, own, place, self.errors)
        name, gap_limit = (str(raw.get("name")), 1) if checked is None else (checked.name, checked.gap_limit)
        watched = watch_list.of_treasury(name, place, raw, gap_limit)
        claims = self._claims(place, raw)
        build.known_words(raw.get("sources"), sources, "source", place.at("sources"), self.errors)
        if checked is None:
            return None
        return Treasury(
            name=checked.name,
            title=checked.title or checked.name,
            attribution=checked.attribution,
            dust_sats=checked.dust_sats,
            gap_limit=checked.gap_limit,
            sources=None if checked.sources is None else tuple(dict.fromkeys(checked.sources)),
            scripts=tuple(watched.scripts),
            wallets=tuple(watched.wallets),
            claims=claims,
        )

    def _claims(self, place: Place, raw: Mapping[str, object]) -> tuple[Claim, ...]:
        tables = array(raw, "claims", place, self.errors)
        unique(declared(tables, "id"), "claim of this treasury", self.errors)
        made = [
            joined(ClaimTable, claim, spot, self.errors, partial(build.claim, spot)) for spot, claim in tables
        ]
        return tuple(claim for claim in made if claim)

    def _rules(self, head: ConfigTable, names: Mapping[str, list[str]]) -> tuple[Rule, ...]:
        tables = array(self.document.content, "rules", self.document.top, self.errors)
        unique(declared(tables), "rule", self.errors)
        made = []
        for place, raw in tables:
            treasuries = {*names["treasury"], EVERY_TREASURY}
            build.known_words(
                raw.get("treasuries"), treasuries, "treasury", place.at("treasuries"), self.errors
            )
            build.known_words(
                raw.get("send_to"), names["endpoint"], "endpoint", place.at("send_to"), self.errors
            )
            rule = partial(build.rule, head.finality, place)
            made.append(joined(RuleTable, raw, place, self.errors, rule))
        return tuple(rule for rule in made if rule)

    def _endpoints(self, head: ConfigTable, tables: _Tables) -> tuple[Endpoint, ...]:
        made = [
            joined(EndpointTable, raw, place, self.errors, partial(build.endpoint, head.lang, place))
            for place, raw in tables
        ]
        return tuple(endpoint for endpoint in made if endpoint)

    def _fiat(self) -> Fiat | None:
        place = self.document.top.at("fiat")
        if "fiat" not in self.document.content:
            return None
        raw = table(self.document.content, "fiat", self.document.top, self.errors)
        return joined(FiatTable, raw, place, self.errors, partial(build.fiat, place))

    def _heartbeat(self) -> Heartbeat | None:
        place = self.document.top.at("heartbeat")
        if "heartbeat" not in self.document.content:
            return None
        raw = table(self.document.content, "heartbeat", self.document.top, self.errors)
        return joined(HeartbeatTable, raw, place, self.errors, partial(build.heartbeat, place))


def catalogue() -> Mapping[str, Path]:
    """The files of the treasuries that come with the package, by name."""
    package = Path(__file__).parents[1]
    installed = package / "_config"
    # a source checkout has the folder beside the package instead of inside it
    folder = installed if installed.is_dir() else package.parent / "config"
    return {file.stem: file for file in sorted((folder / "treasuries").glob("*.toml"))}
