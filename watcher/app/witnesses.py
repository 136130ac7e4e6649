"""Whose word counts, by the config: operators, own servers, and who may learn which treasury."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from watcher.bitcoin.networks import Network
from watcher.observe.quorum import Quorum, Witness, network_of, operator_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.config.settings import Config

    class Placed(Protocol):
        """A source and where it is."""

        name: str

        @property
        def host(self) -> str:
            """A host name or an address."""

        @property
        def port(self) -> int:
            """A port."""

        @property
        def reached_at(self) -> str | None:
            """The address at which it was reached last, if it is known."""


def quorum_of(config: Config, sources: Sequence[Placed]) -> Quorum:
    """The quorum in force; `sources` are those of the config, each where it is."""
    by_name = {source.name: source for source in config.sources}
    return Quorum(
        (
            Witness(
                source.name,
                operator_of(by_name[source.name].operator, source.host, source.port),
                trusted=by_name[source.name].trusted,
                treasuries=frozenset(
                    treasury.name
                    for treasury in config.treasuries
                    if treasury.sources is None or source.name in treasury.sources
                ),
                network=partial(_network, config.network, source),
            )
            for source in sources
        ),
        config.quorum.sources,
    )


def _network(chain: Network, source: Placed) -> str | None:
    """A server's network, which it may change; on a private chain all may stand in one."""
    if chain is Network.REGTEST or source.reached_at is None:
        return None
    return network_of(source.reached_at)
