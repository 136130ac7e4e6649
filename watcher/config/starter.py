"""A first config, commented, from what an operator has to say to begin: what to watch and whom to ask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from watcher.config.presets import Preset

if TYPE_CHECKING:
    from watcher.bitcoin.networks import Network

TOR: Final = "socks5h://127.0.0.1:9050"


@dataclass(frozen=True, slots=True)
class Server:
    """The operator's own server, whose word suffices if it is `trusted`; for a public one its preset."""

    name: str
    url: str
    trusted: bool = False

    @property
    def kind(self) -> Literal["electrum", "esplora"]:
        """By its scheme."""
        return "esplora" if self.url.startswith(("http://", "https://")) else "electrum"


@dataclass(frozen=True, slots=True)
class Own:
    """The operator's own coins: one address, or one extended key or descriptor."""

    form: Literal["address", "xpub", "descriptor"]
    text: str


PUBLIC: Final = ("blockstream", "diynodes")
"""Presets that different people run, so that none of them can hide a coin alone."""


def starter(
    *,
    network: Network,
    state: str | None,
    servers: tuple[Server | Preset, ...],
    watched: str | Own,
    tor: bool,
) -> str:
    """The text of `watcher.toml`; `watched` is a treasury of the catalogue or the operator's own coins."""
    head = _HEAD.format(
        network=network,
        state=f'state_directory = "{state}"' if state else _STATE_BY_DEFAULT,
        catalogue=f"catalogue = [{_quoted(watched)}]  {_CATALOGUE}\n" if isinstance(watched, str) else "",
    )
    sources = "\n".join(_source(server, tor=tor) for server in servers)
    own = "" if isinstance(watched, str) else _OWN.format(form=watched.form, text=_quoted(watched.text))
    return "\n".join(part for part in (head, _SOURCES + sources, own, _REST) if part)


def _source(server: Server | Preset, *, tor: bool) -> str:
    lines = ["[[sources]]", f"name = {_quoted(server.name)}"]
    match server:
        case Preset():
            lines.append(f"preset = {_quoted(server.name)}  # {server.url}, run by {server.operator}")
        case Server():
            lines += [f"kind = {_quoted(server.kind)}", f"url = {_quoted(server.url)}"]
            if server.trusted:
                lines.append("trusted = true                     # your own: its word suffices")
    if tor:
        lines.append(f"proxy = {_quoted(TOR)} # Tor: it does not learn where you are")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: what JSON writes for ASCII is one."""
    return json.dumps(text)


_STATE_BY_DEFAULT: Final = (
    '# state_directory = "/var/lib/treasury-watcher"   # default: what systemd gives, else the XDG state home'
)
_CATALOGUE: Final = "# treasuries that come with the package"

_HEAD: Final = """\
# Treasury Watcher, written by `watcher init`. `watcher check` names every error, `watcher schema` every key.
#
# Paths are relative to this file. Secrets are never written here: each is in a file of its own.

network = "{network}"
{state}
{catalogue}
[http]
listen = "127.0.0.1:9342"          # page, API and /metrics, for this machine alone

# [quorum]
# sources = 2                      # independent servers for what is not in a block; capped at those there are
"""

_SOURCES: Final = """\
# Whom to ask. Each learns the addresses it is asked for, and that one person asks for all of them.
"""

_OWN: Final = """\
[[treasuries]]
name = "own"                       # a-z, 0-9 and -: the label everywhere
title = "Own coins"
attribution = "own"                # self_published | official | third_party | own
dust_sats = 1000                   # smaller inflows are recorded and never alert

  [[treasuries.watch]]             # one of: address | addresses_file (a CSV) | descriptor | xpub | script
  {form} = {text}
  label = "first"
"""

_REST: Final = """\
# What is worth telling. `on`: inflow, outflow, internal, any, and more in the README.
[[rules]]
name = "outflow"
on = ["outflow"]
treasuries = ["*"]
at = ["seen", "final"]             # seen | confirmed | a number of confirmations | final: one notice each
severity = "critical"              # info | warning | critical
# send_to = ["ops"]                # the endpoint below

# Whom to tell. `watcher secret > ops.secret` makes the key that signs.
# [[endpoints]]
# name = "ops"
# kind = "webhook"                 # webhook | alertmanager | ntfy | telegram | slack | email | apprise
# url = "https://hooks.example/treasury"
# secret_file = "ops.secret"
# canary = true                    # a message from time to time, which shows that they arrive
"""
