"""Who speaks, how many must agree, and what their agreement is worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from watcher.core.observation import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Witness:
    """A source as far as its word counts: who runs it, is it the operator's own, what may it learn.

    `network` tells in which one it was reached, None while that is not known or means nothing.
    """

    name: str
    operator: str
    trusted: bool
    treasuries: frozenset[str]
    network: Callable[[], str | None] = lambda: None

    def may_learn(self, treasury: str) -> bool:
        """Whether the treasury's scripts may be asked of it."""
        return treasury in self.treasuries


class Quorum:
    """How many independent sources are `wanted`, capped at how many there are.

    A source of the operator's own suffices alone. A capped quorum never raises trust.
    """

    def __init__(self, witnesses: Iterable[Witness], wanted: int) -> None:
        self.witnesses: Mapping[str, Witness] = {witness.name: witness for witness in witnesses}
        self._wanted = wanted

    def may_learn(self, treasury: str) -> tuple[str, ...]:
        """The sources that the treasury's scripts may be asked of."""
        return tuple(name for name, witness in self.witnesses.items() if witness.may_learn(treasury))

    def independent(self, names: Iterable[str]) -> int:
        """The most of these sources of which no two share an operator or a network."""
        networks: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            if (witness := self.witnesses.get(name)) is not None:
                # two words of an operator are one; without a network of its own a source is in nobody's
                networks.setdefault(witness.operator, []).append(witness.network() or f"of {name}")
        return _paired(networks)

    def required(self, among: Collection[str]) -> int:
        """Independent sources needed where only these may be asked."""
        return max(1, min(self._wanted, self.independent(among)))

    def suffices(self, names: Collection[str], among: Collection[str]) -> bool:
        """Whether what these sources say alike is said by the quorum of those that may be asked."""
        return self._is_trusted(names) or self.independent(names) >= self.required(among)

    def sufficing(self, among: Collection[str]) -> Callable[[Collection[str]], bool]:
        """`suffices` for these."""
        return lambda names: self.suffices(names, among)

    def trust(self, names: Collection[str]) -> Trust:
        """What is unconfirmed is worth by these sources' word."""
        agreed = self._is_trusted(names) or self.independent(names) > 1
        return Trust.CORROBORATED if agreed else Trust.REPORTED

    def _is_trusted(self, names: Iterable[str]) -> bool:
        return any(self.witnesses[name].trusted for name in names if name in self.witnesses)


def _paired(networks: Mapping[str, Sequence[str]]) -> int:
    """How many operators can be given a network each, of those they are in, so that none is given twice.

    The augmenting paths of bipartite matching.
    """
    held: dict[str, str] = {}

    def give(operator: str, tried: set[str]) -> bool:
        for network in networks[operator]:
            if network not in tried:
                tried.add(network)
                if network not in held or give(held[network], tried):
                    held[network] = operator
                    return True
        return False

    return sum(give(operator, set()) for operator in networks)


def operator_of(configured: str | None, host: str, port: int) -> str:
    """Who runs a source: as the config says, else by its registrable domain, else by its network.

    The domain is its last two labels: two servers under one public suffix (`co.uk`) count as one, which
    errs towards less trust. Loopback and private addresses tell nothing of who runs them: by port.
    """
    if configured:
        return configured
    try:
        return network_of(host) or f"{host}:{port}"
    except ValueError:
        if host == "localhost":
            return f"localhost:{port}"
        return ".".join(host.lower().rstrip(".").split(".")[-2:])


@lru_cache(maxsize=1_000)  # asked for each script
def network_of(address: str) -> str | None:
    """The /24 or /48 of an address; None for loopback and private ones, which tell nothing of who runs what.

    `ValueError` where it is none.
    """
    parsed = ip_address(address)
    if parsed.is_private or parsed.is_loopback or parsed.is_link_local:
        return None
    bits = 24 if parsed.version == 4 else 48
    return f"{parsed.version}:{int(parsed) >> (parsed.max_prefixlen - bits):x}"
