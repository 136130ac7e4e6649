"""Public servers by name: what the list holds, and what `preset = "…"` becomes in a config."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from watcher.config.presets import PRESETS, preset
from watcher.config.settings import SOURCE_SCHEMES
from watcher.config.urls import Url, parse_url
from watcher.config.values import Budget

if TYPE_CHECKING:
    from tests.unit.config.conftest import Folder
    from watcher.config.settings import SourceConfig

README = Path(__file__).parents[3] / "README.md"
NOT_CHECKED = "not checked: chosen from public documentation"
PIN = f'pin = "sha256:{"ab" * 32}"'


def source(folder: Folder, lines: str) -> SourceConfig:
    (found,) = folder.load("", source=f'\n[[sources]]\nname = "public"\n{lines}\n').sources
    return found


def errors(folder: Folder, lines: str, *, network: str = "mainnet") -> list[str]:
    return folder.errors(f'network = "{network}"\n', source=f'\n[[sources]]\nname = "public"\n{lines}\n')


def test_the_list_is_whole() -> None:
    assert preset("blockstream").operator == "Blockstream"
    with pytest.raises(KeyError):
        preset("nobody")
    for name, found in PRESETS.items():
        assert found.name == name
        assert found.certificate in {"ca", "self-signed"}
        assert parse_url(found.url, SOURCE_SCHEMES[found.kind]).scheme in {"ssl", "https"}
        assert found.operator
        assert found.implementation
        assert found.limits
        assert found.checked == NOT_CHECKED or date.fromisoformat(found.checked) > date(2026, 1, 1)


def test_the_readme_names_them_all() -> None:
    readme = README.read_text(encoding="utf-8")
    listed = readme[readme.index('`preset = "…"` names') :].partition("\n\n")[0]
    assert {name for name in PRESETS if f"`{name}`" in listed} == set(PRESETS)


def test_different_operators_suffice_for_a_quorum_without_a_pin() -> None:
    for kind in ("electrum", None):
        operators = {p.operator for p in PRESETS.values() if p.certificate == "ca" and kind in {p.kind, None}}
        assert len(operators) >= 3


@pytest.mark.parametrize("name", PRESETS)
def test_each_can_be_named(folder: Folder, name: str) -> None:
    known = PRESETS[name]
    pin = PIN if known.certificate == "self-signed" else ""
    made = source(folder, f'preset = "{name}"\n{pin}')
    assert isinstance(made.url, Url)
    assert (made.name, made.kind, made.url.reveal()) == ("public", known.kind, known.url)
    assert (made.operator, made.budgets, made.trusted) == (known.operator, known.budgets, False)
    assert made.tls == ("pin" if pin else "ca")


def test_what_is_written_beside_it_goes_first(folder: Folder) -> None:
    made = source(folder, 'preset = "blockstream-esplora"\noperator = "they"\nbudget = "10/m"')
    assert (made.operator, made.budgets) == ("they", (Budget(10, 60),))
    assert source(folder, 'preset = "blockstream-esplora"').budgets == (Budget(700, 3_600),)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ('preset = "nobody"', "5: sources[0].preset: there is no preset 'nobody' (known: "),
        ('preset = "block stream"', "5: sources[0].preset: a name has 1 to 64 of A-Z, "),
        ('preset = "mempool"\nkind = "mempool"', "6: sources[0].kind: a preset says it already: "),
        ('preset = "mempool"\nurl = "https://x"', "6: sources[0].url: a preset says it already: "),
        ('preset = "mempool"\nurl_file = "x"', "6: sources[0].url_file: a preset says it already: "),
        ('preset = "mempool"\ntrusted = true', "6: sources[0].trusted: is for a server of your own, "),
        ('preset = "emzy"', '5: sources[0].preset: no authority vouches for the certificate of "emzy": '),
        ('preset = "emzy"\ntls = "ca"', "5: sources[0].preset: no authority vouches "),
    ],
)
def test_where_it_cannot_stand(folder: Folder, lines: str, error: str) -> None:
    (told,) = errors(folder, lines)
    assert told.startswith(f"watcher.toml:{error}")


def test_on_another_network_there_is_one_clear_error(folder: Folder) -> None:
    assert errors(folder, 'preset = "emzy"\nkind = "electrum"', network="signet") == [
        "watcher.toml:5: sources[0].preset: the presets are servers of mainnet, and this config is of signet"
    ]
