"""Public servers by name: what `preset = "…"` stands for, and where it may stand."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal

from watcher.bitcoin.networks import Network
from watcher.config import values
from watcher.config.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.config.document import Place
    from watcher.config.errors import ConfigError
    from watcher.config.models import SourceKind, SourceTable
    from watcher.config.values import Budget


@dataclass(frozen=True, slots=True)
class Preset:
    """A public server of mainnet, as far as it is publicly known.

    `certificate` says who vouches for its key: an authority (`ca`), or nobody, so that it has to be pinned.
    `budgets` is what it is known to allow; `limits` and `checked` (a date, or that it was not) are for
    people.
    """

    name: str
    operator: str
    kind: SourceKind
    url: str
    implementation: str
    certificate: Literal["ca", "self-signed"]
    limits: str
    checked: str
    budgets: tuple[Budget, ...] = ()


def _presets() -> dict[str, Preset]:
    listed: Mapping[str, dict[str, Any]] = tomllib.loads(
        files("watcher.config").joinpath("presets.toml").read_text(encoding="utf-8")
    )
    made = {}
    for name, entry in listed.items():
        budget = entry.pop("budget", None)
        made[name] = Preset(name=name, budgets=values.budgets(budget) if budget else (), **entry)
    return made


PRESETS: Final[Mapping[str, Preset]] = _presets()


def preset(name: str) -> Preset:
    """The public server of this name; KeyError where there is none."""
    return PRESETS[name]


def filled(
    table: SourceTable, network: Network, place: Place, errors: list[ConfigError]
) -> SourceTable | None:
    """The table with what its preset stands for, or None after saying why it cannot stand here.

    Without a preset it is returned as it is. What is written beside a preset goes before what it says.
    """
    if table.preset is None:
        return table
    found = PRESETS.get(table.preset)
    wrong = _misplaced(table, found, network, place)
    errors.extend(wrong)
    if found is None or wrong:
        return None
    said: dict[str, object] = {"kind": found.kind, "url": found.url}
    if table.operator is None:
        said["operator"] = found.operator
    if found.budgets and not table.budget:
        said["budget"] = found.budgets
    return table.model_copy(update=said)


def _misplaced(table: SourceTable, found: Preset | None, network: Network, place: Place) -> list[ConfigError]:
    at = place.at("preset")
    if found is None:
        return [at.error(f"there is no preset {table.preset!a}{nearest(table.preset or '', PRESETS)}")]
    if network is not Network.MAINNET:
        return [at.error(f"the presets are servers of mainnet, and this config is of {network}")]
    wrong = [
        place.at(key).error("a preset says it already: give one or the other")
        for key in ("kind", "url", "url_file", "url_credential")
        if getattr(table, key) is not None
    ]
    if table.trusted:
        wrong.append(place.at("trusted").error("is for a server of your own, and this one is public"))
    given = table.model_fields_set
    if (
        found.certificate == "self-signed"
        and "pin" not in given
        and ("tls" not in given or table.tls == "ca")
    ):
        wrong.append(
            at.error(
                f'no authority vouches for the certificate of "{found.name}": '
                'give its pin = "sha256:…", or tls = "tofu"'
            )
        )
    return wrong
