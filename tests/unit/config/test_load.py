"""A config that is right becomes values; one that is wrong tells everything at once, each where it stands."""

from __future__ import annotations

import importlib.resources
import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from watcher.bitcoin.networks import Network
from watcher.config import ConfigErrors, ListenTcp, Url, config_digest, load_config
from watcher.config.schema import config_schema
from watcher.core.rules_types import FLOWS, Severity, Topic

if TYPE_CHECKING:
    from .conftest import Folder

REPOSITORY = Path(str(importlib.resources.files("watcher"))).parent
FIRST = "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"
TREASURY = f"""
[[treasuries]]
name = "el-salvador"
  [[treasuries.watch]]
  address = "{FIRST}"
"""


def test_the_sample_is_accepted_as_it_is() -> None:
    config = load_config(REPOSITORY / "config" / "watcher.toml", environ={"HOME": "/home/someone"})
    assert [treasury.name for treasury in config.treasuries] == ["el-salvador"]
    assert config.state_directory == Path("/home/someone/.local/state/treasury-watcher")


def test_the_sample_with_every_suggestion_taken_is_accepted_too(folder: Folder) -> None:
    text = (REPOSITORY / "config" / "watcher.toml").read_text(encoding="utf-8")
    for line in (
        'secret_file = "ops.secret"',
        "[[endpoints]]",
        'name = "ops"',
        'kind = "webhook"',
        'url = "https://hooks.example/treasury"',
        'send_to = ["ops"]',
        "[quorum]",
        "sources = 2",
        "[timing]",
        'reread = "60s"',
        'stale_after = "5m"',
        'dropped_after = "30m"',
        'include = ["treasuries/*.toml"]',
        'show_addresses = "page"',
        'read_token_file = "read.token"',
        'admin_token_file = "admin.token"',
        'external_url = "https://watch.example"',
        "[[rules]]",
        'name = "low"',
        'on = ["balance_below"]',
        'btc = "6000"',
        'for = "10m"',
        "[fiat]",
        'currency = "USD"',
        'kind = "mempool"',
        'url = "https://mempool.space/api"',
    ):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    config = folder.load(text, source="")
    assert config.rules[0].send_to == ("ops",)
    assert config.http.external_url is not None


def test_the_schema_in_the_repository_is_the_present_one() -> None:
    assert (REPOSITORY / "config" / "schema.json").read_text(encoding="utf-8") == config_schema()


def test_what_is_not_written_has_its_default(folder: Folder) -> None:
    config = folder.load("")
    assert config.network is Network.MAINNET
    assert (config.finality, config.quorum.sources) == (6, 2)
    assert (config.timing.reread, config.timing.stale_after, config.timing.dropped_after) == (60, 300, 1800)
    assert config.http.listen == ListenTcp("127.0.0.1", 9342)
    assert (config.treasuries, config.rules, config.endpoints) == ((), (), ())
    assert config.sources[0].tls == "ca"


def test_a_treasury_has_its_scripts_with_their_provenance(folder: Folder) -> None:
    config = folder.load(
        f"""
        [[treasuries]]
        name = "el-salvador"
        title = "El Salvador"
        sources = ["home"]
        [[treasuries.watch]]
        address = "{FIRST}"
        label = "first"
        published = 2024-03-14
        by = "ONBTC"
        source = "https://bitcoin.gob.sv"
        [[treasuries.watch]]
        address = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"
        [[treasuries.watch]]
        script = "51"
        [[treasuries.claims]]
        id = "press-2025-07-18"
        says = "at_least"
        btc = "6240"
        as_of = 2025-07-18
        """
    )
    treasury = config.treasuries[0]
    first, capitals, raw = treasury.scripts
    assert first.script_pubkey.hex() == "a9140b55e104bb614b309d85efac36703194ff2d830287"
    assert first.scripthash == "bffcc1a0f6821fead51a7bbdccee27e5239bceaae1d8bb72f43159f5c1e8cf3e"
    assert (first.provenance.label, first.provenance.published, first.provenance.by) == (
        "first",
        date(2024, 3, 14),
        "ONBTC",
    )
    assert capitals.address == "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    assert (raw.script_pubkey, raw.address) == (b"\x51", None)
    assert (treasury.sources, treasury.dust_sats, treasury.claims[0].sats) == (
        ("home",),
        1000,
        624_000_000_000,
    )


def test_a_rule_has_the_contracts_defaults_and_its_words_written_out(folder: Folder) -> None:
    config = folder.load(
        """
        finality = 3
        [[rules]]
        name = "plain"
        on = ["outflow"]
        [[rules]]
        name = "full"
        on = ["any", "chain", "inflow"]
        at = [1, "confirmed", 2, 3, 99, "final"]
        min_btc = "0.5"
        severity = "critical"
        """
    )
    plain, full = config.rules
    assert (plain.on, plain.treasuries, plain.min_sats, plain.at) == (
        (Topic.OUTFLOW,),
        ("*",),
        0,
        ("seen", "final"),
    )
    assert (plain.severity, plain.for_seconds, plain.send_to) == (Severity.WARNING, 0, ())
    assert full.on == (*FLOWS, Topic.CHAIN)
    assert full.at == ("confirmed", 2, "final")
    assert full.min_sats == 50_000_000


def test_every_error_is_told_at_once_with_file_line_and_key(folder: Folder) -> None:
    assert folder.errors(
        f"""
finalty = 6
[http]
listen = "0.0.0.0:9342"
[[treasuries]]
name = "one"
sources = ["hom"]
  [[treasuries.watch]]
  address = "{FIRST}"
  [[treasuries.watch]]
  address = "{FIRST[:-1]}p"
  [[treasuries.watch]]
  address = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"
  [[treasuries.claims]]
  id = "x"
  says = "at_least"
  as_of = 2025-07-18
  btc = 6240.5
[[treasuries]]
name = "two"
  [[treasuries.watch]]
  address = "{FIRST}"
  [[treasuries.watch]]
  lable = "x"
[[rules]]
name = "rule"
on = ["dormant"]
dormant_days = 365
send_to = ["opps"]
treasuries = ["*", "on"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1/s3cr3t"
secret_file = "ops.secret"
"""
    ) == [
        'watcher.toml:2: finalty: unknown key; did you mean "finality"?',
        (
            "watcher.toml:4: http.listen: others could read everything: listen on 127.0.0.1, "
            "or set read_token_file, or public = true"
        ),
        "watcher.toml:7: treasuries[0].sources[0]: no source has the name 'hom'; did you mean \"home\"?",
        "watcher.toml:11: treasuries[0].watch[1].address: the checksum does not match: mistyped or cut",
        "watcher.toml:13: treasuries[0].watch[2].address: a testnet address, and the network is mainnet",
        (
            "watcher.toml:18: treasuries[0].claims[0].btc: a float does not hold an amount "
            'exactly: write it in quotes, "0.1"'
        ),
        (
            "watcher.toml:22: treasuries[1].watch[0].address: the same script is already "
            'watched in "one": watcher.toml:9'
        ),
        (
            "watcher.toml:23: treasuries[1].watch[1]: needs exactly one of address, addresses_file, "
            "descriptor, xpub, script"
        ),
        'watcher.toml:24: treasuries[1].watch[1].lable: unknown key; did you mean "label"?',
        "watcher.toml:29: rules[0].send_to[0]: no endpoint has the name 'opps'; did you mean \"ops\"?",
        "watcher.toml:30: rules[0].treasuries[1]: no treasury has the name 'on'; did you mean \"one\"?",
        (
            "watcher.toml:34: endpoints[0].url: http:// is only for one's own network: "
            "https://, or allow_private = true"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("finality = 0", "watcher.toml:1: finality: must be at least 1"),
        ("finality = true", "watcher.toml:1: finality: must be an integer"),
        ('finality = "6"', "watcher.toml:1: finality: must be an integer"),
        ("finality = 6.0", "watcher.toml:1: finality: must be an integer"),
        (
            'network = "main"',
            "watcher.toml:1: network: must be one of mainnet, testnet3, testnet4, signet, regtest",
        ),
        (
            "network = 1",
            "watcher.toml:1: network: must be one of mainnet, testnet3, testnet4, signet, regtest",
        ),
        ("http = 3", "watcher.toml:1: http: must be a table: [http]"),
        (
            "[treasuries]\nname = 'x'",
            "watcher.toml:1: treasuries: must be an array of tables: [[treasuries]]",
        ),
        (
            "[[treasuries]]\nname = 'x'\n[treasuries.watch]\nscript = '51'",
            "watcher.toml:3: treasuries[0].watch: must be an array of tables: [[treasuries.watch]]",
        ),
        ("[quorum]\n[[treasury.watch]]", 'watcher.toml:2: treasury: unknown key; did you mean "treasuries"?'),
        ("[HTTP]", 'watcher.toml:1: HTTP: unknown key; did you mean "http"?'),
        ("treasuries = [1]", "watcher.toml:1: treasuries: must be an array of tables: [[treasuries]]"),
        (
            "timing.reread = 60",
            'watcher.toml:1: timing.reread: a duration is written "60s", "5m", "2h30m" or "7d"',
        ),
        ('timing.reread = "0s"', "watcher.toml:1: timing.reread: must be longer than 0s"),
        ('lang = "fr"', "watcher.toml:1: lang: must be 'en' or 'es'"),
        (
            '"\\u001b[31m" = 1',
            (
                "watcher.toml:1: '\\x1b[31m': unknown key (known: network, state_directory, finality, "
                "include, catalogue, show_addresses, lang, http, quorum, timing, canary, sources, …)"
            ),
        ),
        (
            'catalogue = ["el-salvadro"]',
            (
                "watcher.toml:1: catalogue[0]: no treasury of the catalogue has the name 'el-salvadro'; "
                'did you mean "el-salvador"?'
            ),
        ),
        ('include = ["missing.toml"]', "watcher.toml:1: include[0]: no such file"),
        (
            "heartbeat.url = 'ftp://x'",
            "watcher.toml:1: heartbeat.url: must begin with https:// or http://",
        ),
        (
            "heartbeat.url = 'https://hc..example'",
            "watcher.toml:1: heartbeat.url: has a host with an empty part, or one above 63 characters",
        ),
    ],
)
def test_one_wrong_word_is_one_error(folder: Folder, text: str, error: str) -> None:
    assert folder.errors(text) == [error]


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(
            "treasuries/**.toml",
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="from 3.13 on it means *.toml"),
        ),
        ".",
        "./",
        "",
        "/",
        "a" * 300,
        pytest.param("a/" * 3_000, id="deep"),
    ],
)
def test_an_include_that_is_neither_a_file_nor_a_pattern_is_one_error_among_others(
    folder: Folder, pattern: str
) -> None:
    assert folder.errors(f'finality = 0\ninclude = ["{pattern}", "no.toml"]') == [
        "watcher.toml:1: finality: must be at least 1",
        "watcher.toml:2: include[0]: is not a file or a pattern, as in treasuries/*.toml",
        "watcher.toml:2: include[1]: no such file",
    ]


def test_a_name_that_no_file_can_have_is_one_error(folder: Folder) -> None:
    assert folder.errors('include = ["a\\u0000b"]') == ["watcher.toml:1: include[0]: no such file"]
    (error,) = folder.errors('[[treasuries]]\nname = "a"\n[[treasuries.watch]]\naddresses_file = "a\\u0000"')
    assert error.startswith("watcher.toml:4: treasuries[0].watch[0].addresses_file: a\0: cannot be read: ")
    assert error.endswith("its name holds the character NUL, which no name of a file can")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ('state_directory = "st\\u0000ate"', "watcher.toml:1: state_directory"),
        ('[http]\nlisten = "unix:a\\u0000.sock"', "watcher.toml:2: http.listen"),
    ],
)
def test_what_no_file_can_be_called_is_told_before_anything_is_made(
    folder: Folder, written: str, place: str
) -> None:
    assert folder.errors(written) == [f"{place}: holds the character NUL, which no name of a file can"]


def test_a_pipe_in_the_place_of_a_list_or_of_an_included_file_is_told_and_not_waited_for(
    folder: Folder,
) -> None:
    os.mkfifo(folder.path / "pipe")
    listed = '[[treasuries]]\nname = "a"\n[[treasuries.watch]]\naddresses_file = "pipe"'
    assert folder.errors(f'include = ["pipe"]\n{listed}') == [
        "watcher.toml:5: treasuries[0].watch[0].addresses_file: pipe: cannot be read: it is a pipe",
        "pipe: cannot be read: it is a pipe",
    ]


def test_a_mark_that_an_editor_puts_first_is_no_error(folder: Folder) -> None:
    assert folder.load("\ufefffinality = 3").finality == 3


def test_a_config_without_a_source_is_refused(folder: Folder) -> None:
    assert folder.errors("", source="") == ["watcher.toml:1: needs at least one [[sources]]"]


def test_what_is_not_toml_is_told_with_its_line(folder: Folder) -> None:
    assert folder.errors("finality = 6\nlang = \n") == ["watcher.toml:2: not TOML: Invalid value"]
    twice = "not TOML: the same key or table stands there twice, or once in [ ] and once in [[ ]]"
    assert folder.errors("a = 1\na = 2\n") == [f"watcher.toml:2: {twice}"]
    assert folder.errors("[[sources]]\n[sources]\n") == [f"watcher.toml:2: {twice}"]
    assert folder.errors("[a]\n[a]\n") == [f"watcher.toml:2: {twice}"]
    assert folder.errors("finality = 6\nlang = “en”\n", source="") == [
        "watcher.toml:2: not TOML: Invalid value, perhaps for its curly quotes: texts stand in straight ones"
    ]
    assert folder.errors('lang = "en\n', source="") == [
        "watcher.toml:1: not TOML: a text in quotes ends where its line does: is a quote missing?"
    ]
    assert folder.errors('a = """\n\n', source="") == ["watcher.toml:3: not TOML: Unterminated string"]
    assert folder.errors(f"a = {'[' * 5000}") == [
        "watcher.toml: holds a number or a nesting beyond all measure"
    ]
    assert folder.errors(f"a = {'9' * 5000}") == [
        "watcher.toml: holds a number or a nesting beyond all measure"
    ]


def test_a_file_that_is_not_text_or_not_there_is_told(folder: Folder) -> None:
    (folder.path / "w.toml").write_bytes(b"a = 1\nb = '\xff'\n")
    for name, text in (
        ("w.toml", ":2: is not UTF-8"),
        ("no.toml", ": cannot be read: No such file or directory"),
    ):
        with pytest.raises(ConfigErrors) as refused:
            load_config(folder.path / name, environ={})
        assert str(refused.value) == f"{folder.path / name}{text}"


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            'kind = "electrum"\nurl = "ssl://x:1"\nheaders_file = "h"',
            '6: .headers_file: headers_file is not for kind "electrum"',
        ),
        ('kind = "electrum"\nurl = "https://x:1"', "5: .url: must begin with ssl:// or tcp://"),
        ('kind = "electrum"', "2: : needs exactly one of url, url_file, url_credential"),
        (
            'kind = "electrum"\nurl = "ssl://x:1"\nurl_file = "u"',
            "2: : needs exactly one of url, url_file, url_credential",
        ),
        ('url = "ssl://x:1"', "2: .kind: is required"),
        ('preset = "mempol"', "4: .preset: there is no preset 'mempol'; did you mean \"mempool\"?"),
        (
            'kind = "electrum"\nurl = "tcp://x:1"\nproxy = "http://127.0.0.1:9050"',
            "6: .proxy: must begin with socks5h:// or socks5://",
        ),
        ('kind = "electrum"\nurl = "tcp://x:1"\ntls = "ca"', "6: .tls: tcp:// is not encrypted"),
        (
            'kind = "electrum"\nurl = "ssl://x:1"\ntls = "pin"',
            '6: .tls: "pin" needs the key pin = "sha256:…"',
        ),
        ('kind = "electrum"\nurl = "ssl://x:1"\npin = "abc"', '6: .pin: must be "sha256:" and 64 hex digits'),
    ],
)
def test_a_source_is_checked(folder: Folder, source: str, error: str) -> None:
    assert folder.errors("", source=f'\n[[sources]]\nname = "home"\n{source}\n') == [
        f"watcher.toml:{error}".replace(": ", ": sources[0]", 1)
    ]


@pytest.mark.parametrize(
    ("endpoint", "error"),
    [
        (
            'kind = "slack"\nurl = "http://x"',
            "4: .url: http:// is only for one's own network: https://, or allow_private = true",
        ),
        ('kind = "telegram"\ntoken_file = "t"', '1: : kind "telegram" needs chat'),
        (
            'kind = "email"\nurl = "smtps://u@x"\nfrom = "Watch <w@x.org>"\nto = ["Ops"]',
            "6: .to: 'Ops' is not an e-mail address",
        ),
        (
            'kind = "email"\nurl = "smtps://u@x"\nfrom = "w@x.org"\nto = ["o@x.org"]\nheaders_file = "h"',
            '7: .headers_file: headers_file is not for kind "email"',
        ),
        ('kind = "webhook"\nurl = "https://x"', '1: : kind "webhook" needs secret_file or secret_credential'),
        (
            'kind = "webhook"\nsecret_file = "s"',
            '1: : kind "webhook" needs url or url_file or url_credential',
        ),
        ('kind = "webhook"\nurl = "ftp://x"\nsecret_file = "s"', "4: .url: must begin with https://"),
        (
            'kind = "webhook"\nurl = "https://x"\nsecret_file = "s"\ntopic = "t"',
            '6: .topic: topic is not for kind "webhook"',
        ),
        (
            'kind = "webhook"\nurl = "https://x"\nsecret_file = "s"\nsecret_credential = "c"',
            "6: .secret_credential: give secret_file or secret_credential, not both",
        ),
        (
            'kind = "webhook"\nurl = "https://x"\nsecret = "whsec_abc"\nsecret_file = "s"',
            '5: .secret: unknown key; did you mean "secret_file"?',
        ),
    ],
)
def test_an_endpoint_is_checked(folder: Folder, endpoint: str, error: str) -> None:
    assert folder.errors(f'[[endpoints]]\nname = "ops"\n{endpoint}\n') == [
        f"watcher.toml:{error}".replace(": ", ": endpoints[0]", 1)
    ]


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ('on = ["outflow"]\nbtc = "1"', "4: .btc: means nothing with this `on`"),
        ('on = ["outflow"]\ndormant_days = 3', "4: .dormant_days: means nothing with this `on`"),
        ('on = ["outflow"]\nfor = "10m"', "4: .for: is for conditions, and `on` names none"),
        ("on = []", "3: .on: must not be empty"),
        (
            'on = ["any"]\nat = ["seen", 0]',
            '4: .at[1]: a rung is "seen", "confirmed", "final" or a number of confirmations from 1',
        ),
        (
            'on = ["any"]\nmin_btc = 0.5',
            '4: .min_btc: a float does not hold an amount exactly: write it in quotes, "0.1"',
        ),
    ],
)
def test_a_rule_is_checked(folder: Folder, rule: str, error: str) -> None:
    assert folder.errors(f'[[rules]]\nname = "r"\n{rule}\n') == [
        f"watcher.toml:{error}".replace(": ", ": rules[0]", 1)
    ]


@pytest.mark.parametrize(
    ("table", "errors"),
    [
        (
            '[[rules]]\nname = "r"\non = ["outflow"]\nfoo = 1\nat = ["soon"]\nbtc = "1"',
            [
                "4: rules[0].foo: unknown key; did you mean ",
                '5: rules[0].at[0]: a rung is "seen", "confirmed", "final" or a number of ',
                "6: rules[0].btc: means nothing with this `on`",
            ],
        ),
        (
            '[[endpoints]]\nname = "e"\nkind = "webhook"\nallow_private = "yes"\nurl = "ftp://x"',
            [
                '1: endpoints[0]: kind "webhook" needs secret_file or secret_credential',
                "4: endpoints[0].allow_private: must be true or false",
                "5: endpoints[0].url: must begin with https://",
            ],
        ),
        (
            '[heartbeat]\nevry = "60s"',
            [
                "1: heartbeat: needs exactly one of url, url_file, url_credential",
                '2: heartbeat.evry: unknown key; did you mean "every"?',
            ],
        ),
        (
            "[[endpoints]]\nname = 'e'\nkind = 'webhook'\nsecret_file = 's'\nurl = 5",
            ["5: endpoints[0].url: "],
        ),
        (
            '[fiat]\ncurrency = "USD"\nkind = "mempool"\nrate = 0.5',
            ["1: fiat.url: is required", "4: fiat.rate: must be a decimal in quotes, "],
        ),
        (
            '[fiat]\ncurrency = "dollar"\nkind = "fixed"\nurl = "https://x.example"',
            [
                "1: fiat.rate: is required by kind",
                "2: fiat.currency: must be three capital letters",
                '4: fiat.url: is not for kind "fixed"',
            ],
        ),
        (
            "[heartbeat]\nname = 1",
            ["1: heartbeat: needs exactly one of ", "2: heartbeat.name: "],
        ),
        (
            '[[rules]]\nname = "my rule"\non = ["outflow"]\nbtc = "1"',
            ["2: rules[0].name: a name has ", "4: rules[0].btc: means nothing with this `on`"],
        ),
        (
            '[[endpoints]]\nkind = "webhook"\nurl = "http://x.example"\nsecret_file = "s"',
            ["1: endpoints[0].name: is required", "3: endpoints[0].url: http:// is only for one's own"],
        ),
        (
            '[[sources]]\nname = ""\nkind = "electrum"\nurl = "https://x.example"',
            ["2: sources[0].name: a name has ", "4: sources[0].url: must begin with ssl://"],
        ),
        (
            '[[treasuries]]\nname="a"\n[[treasuries.claims]]\nid = "c"\nsays = "about"\nbtc = ""\nas_of=1',
            [
                "3: treasuries[0].claims[0].tolerance_btc: is required by `about`",
                "6: treasuries[0].claims[0].btc: an amount in bitcoin is",
                "7: treasuries[0].claims[0].as_of: must be a date",
            ],
        ),
    ],
)
def test_one_wrong_key_hides_no_other(folder: Folder, table: str, errors: list[str]) -> None:
    told = folder.errors(f"{table}\n")
    assert len(told) == len(errors), told
    for line, expected in zip(told, errors, strict=True):
        assert line.startswith(f"watcher.toml:{expected}")


@pytest.mark.parametrize("topic", ["source", "disagreement", "stale"])
def test_a_rule_about_a_condition_may_wait(folder: Folder, topic: str) -> None:
    rule = f'[[rules]]\nname = "r"\non = ["{topic}"]\nfor = "10m"\n'
    assert folder.load(TREASURY + rule).rules[0].for_seconds == 600


def test_a_name_stands_once_and_both_places_are_named(folder: Folder) -> None:
    text = TREASURY.replace(FIRST, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") + TREASURY
    assert folder.errors(text) == [
        'watcher.toml:8: treasuries[1].name: another treasury is named "el-salvador": watcher.toml:3'
    ]


def test_an_included_file_is_one_treasury_with_its_own_paths_and_lines(folder: Folder) -> None:
    folder.write("address\n1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n", "treasuries/lists/one.csv")
    folder.write('name = "one"\n[[watch]]\naddresses_file = "lists/one.csv"\n', "treasuries/one.toml")
    config = folder.load('include = ["treasuries/*.toml"]')
    assert [script.address for script in config.treasuries[0].scripts] == [
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
    ]

    folder.write(
        'name = "two"\nnmae = 1\n[[watch]]\naddress = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"\n',
        "treasuries/two.toml",
    )
    assert folder.errors('include = ["treasuries/*.toml"]') == [
        'treasuries/two.toml:2: nmae: unknown key; did you mean "name"?',
        (
            "treasuries/two.toml:4: watch[0].address: the same script is already watched in "
            '"one": treasuries/lists/one.csv:2'
        ),
    ]


def test_the_state_directory_is_systemds_or_the_users_or_must_be_said(folder: Folder) -> None:
    def of(text: str = "", **environ: str) -> Path:
        return folder.load(text, environ=environ).state_directory

    assert of(STATE_DIRECTORY="/var/lib/a:/var/lib/b", HOME="/h") == Path("/var/lib/a")
    assert of(XDG_STATE_HOME="/x", HOME="/h") == Path("/x/treasury-watcher")
    assert of(HOME="/h") == Path("/h/.local/state/treasury-watcher")
    assert of('state_directory = "state"', HOME="/h") == folder.path / "state"
    with pytest.raises(ConfigErrors, match="state_directory: is required where"):
        of(LANG="C")


def test_public_or_a_read_token_opens_a_listen_address(folder: Folder) -> None:
    for opened in ("public = true", 'read_token_file = "t"'):
        folder.load(f'[http]\nlisten = "0.0.0.0:80"\n{opened}\n')
    assert len(folder.errors('[http]\nlisten = "0.0.0.0:80"\nadmin_token_file = "t"\n')) == 1


def test_the_digest_follows_what_is_said_and_not_where_it_lies(folder: Folder) -> None:
    endpoint = '[[endpoints]]\nname = "o"\nkind = "webhook"\nurl = "https://h/{}"\nsecret_file = "s"\n'
    texts = ["", "finality = 5", TREASURY, endpoint.format("a"), endpoint.format("b")]
    digests = [config_digest(folder.load(text)) for text in texts]
    assert len(set(digests)) == len(texts)
    assert config_digest(folder.load("finality = 6 # said", environ={"HOME": "/elsewhere"})) == digests[0]


def test_no_url_is_shown_by_a_config(folder: Folder) -> None:
    config = folder.load(
        '[[endpoints]]\nname = "o"\nkind = "webhook"\nurl = "https://h/T0K3N"\nsecret_file = "s"\n'
    )
    url = config.endpoints[0].urls[0]
    assert isinstance(url, Url)
    assert url.reveal() == "https://h/T0K3N"
    assert "T0K3N" not in repr(config)
