"""Lists of addresses, and the law that a script belongs to one treasury at a time."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from watcher.bitcoin.addresses import encode_address
from watcher.bitcoin.networks import Network
from watcher.config import config_digest

if TYPE_CHECKING:
    from .conftest import Folder

GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
FIRST = "32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"
# BIP 84 and BIP 32, test vectors (CC0-1.0, BSD-2-Clause)
ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3Ef"
    "H1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
XPUB = (
    "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu"
    "8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB"
)
TPUB = (
    "tpubD6NzVbkrYhZ4WaWSyoBvQwbpLkojyoTZPRsgXELWz3Popb3qkjcJyJUGL"
    "nL4qHHoQvao8ESaAstxYSnhyswJ76uZPStJRJCTKvosUCJZL5B"
)
NO_HEADER = "list.csv:1: the first line must be a header with the column address"
LISTED = """
[[treasuries]]
name = "one"
[[treasuries.watch]]
addresses_file = "list.csv"
label = "from the list"
by = "somebody"
"""


def _address(number: int) -> str:
    address = encode_address(b"\x00\x14" + number.to_bytes(20, "big"), Network.MAINNET)
    assert address is not None
    return address


def test_a_row_has_its_own_provenance_or_its_watchs(folder: Folder) -> None:
    folder.write(
        f'\ufefflabel, address ,published\r\n"a, b",{GENESIS},2024-03-14\r\n\r\n,{FIRST},\r\n', "list.csv"
    )
    one, two = folder.load(LISTED).treasuries[0].scripts
    assert (one.address, one.provenance.label, one.provenance.published, one.provenance.by) == (
        GENESIS,
        "a, b",
        date(2024, 3, 14),
        "somebody",
    )
    assert (two.address, two.provenance.label, two.provenance.published, two.provenance.by) == (
        FIRST,
        "from the list",
        None,
        "somebody",
    )


def test_every_wrong_row_is_told_by_its_line(folder: Folder) -> None:
    folder.write(
        "address,label,published\n"
        f"{GENESIS},a,2024-03-14\n"
        f"{GENESIS[:-1]}b,,\n"
        f'{FIRST},"over\ntwo lines",\n'
        f"{FIRST},\n"
        ",no address,\n"
        f"{FIRST},,14.3.2024\n"
        f"{GENESIS},,\n",
        "list.csv",
    )
    assert folder.errors(LISTED) == [
        "list.csv:3: address: the checksum does not match: mistyped or cut",
        "list.csv:4: label: holds a character that cannot be printed",
        "list.csv:6: has 2 fields and the header 3",
        "list.csv:7: address: is empty",
        "list.csv:8: published: must be a date such as 2025-07-18",
        "list.csv:9: the same script is already watched in this treasury: list.csv:2",
    ]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", NO_HEADER),
        (f"{GENESIS}\n", NO_HEADER),
        (
            f"address;label\n{GENESIS};x\n",
            f"{NO_HEADER}, and commas between the columns",
        ),
        (
            f"Address\n{GENESIS}\n",
            f"{NO_HEADER}, in small letters",
        ),
        (
            f"address,label\n{GENESIS},a\u2028b\n",
            "list.csv:2: label: holds a character that cannot be printed",
        ),
        ("address,lable\n", "list.csv:1: unknown column 'lable'; did you mean \"label\"?"),
        ("address,label,label\n", "list.csv:1: label: the column stands there twice"),
        (
            "address,member_from,member_until\n" + f"{GENESIS},900000,800000\n",
            "list.csv:2: member_until: must be after member_from",
        ),
        ('address\n"unclosed\n', "list.csv:2: not CSV: unexpected end of data"),
    ],
)
def test_a_list_that_is_none_is_refused(folder: Folder, content: str, error: str) -> None:
    folder.write(content, "list.csv")
    assert folder.errors(LISTED) == [error]


def test_a_list_that_is_not_there_is_told_where_it_is_named(folder: Folder) -> None:
    assert folder.errors(LISTED) == [
        (
            "watcher.toml:5: treasuries[0].watch[0].addresses_file: "
            "list.csv: cannot be read: No such file or directory"
        )
    ]


def test_a_file_of_another_kind_does_not_flood(folder: Folder) -> None:
    folder.write("address\n" + "nonsense\n" * 5000, "list.csv")
    errors = folder.errors(LISTED)
    assert len(errors) == 101
    assert errors[-1] == "list.csv:101: too many errors: the rest of the list was not read"


def test_a_long_list_is_read_whole(folder: Folder) -> None:
    folder.write("address\n" + "".join(f"{_address(n)}\n" for n in range(20_000)), "list.csv")
    scripts = folder.load(LISTED).treasuries[0].scripts
    assert len({script.scripthash for script in scripts}) == 20_000


@pytest.mark.parametrize(
    ("watch", "error"),
    [
        ("", "3: : needs exactly one of address, addresses_file, descriptor, xpub, script"),
        (
            f'address = "{FIRST}"\nscript = "51"',
            "3: : needs exactly one of address, addresses_file, descriptor, xpub, script",
        ),
        ('xpub = "xpub6s3cr3t"', "4: .xpub: the checksum does not match: mistyped or cut"),
        (
            f'xpub = "{XPUB}/0/*"',
            "4: .xpub: an extended key alone: with an origin or a path it is a descriptor",
        ),
        (
            'descriptor = "wpkh(s3cr3t)#abcdefgh"',
            "4: .descriptor: the checksum after # does not match: mistyped or cut",
        ),
        (
            f'descriptor = "wpkh({TPUB}/0/*)"',
            "4: .descriptor: a testnet key (tpub), and the network is mainnet",
        ),
        ('script = "5"', "4: .script: a script is 1 to 10,000 bytes in hex"),
        ('script = "51 52"', "4: .script: a script is 1 to 10,000 bytes in hex"),
        (
            f'address = "{FIRST}"\nmember_from = 800000\nmember_until = 800000',
            "6: .member_until: must be after member_from",
        ),
    ],
)
def test_a_watch_is_one_thing_this_version_can_watch(folder: Folder, watch: str, error: str) -> None:
    assert folder.errors(f'[[treasuries]]\nname = "one"\n[[treasuries.watch]]\n{watch}\n') == [
        f"watcher.toml:{error}".replace(": ", ": treasuries[0].watch[0]", 1)
    ]


def test_an_address_is_not_judged_by_a_network_that_is_none(folder: Folder) -> None:
    text = f'network = "maine"\n[[treasuries]]\nname = "one"\n[[treasuries.watch]]\naddress = "{FIRST}"\n'
    assert folder.errors(text) == [
        "watcher.toml:1: network: must be one of mainnet, testnet3, testnet4, signet, regtest"
    ]


def test_a_pasted_private_key_is_not_repeated(folder: Folder) -> None:
    key = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
    (error,) = folder.errors(f'[[treasuries]]\nname = "one"\n[[treasuries.watch]]\naddress = "{key}"\n')
    assert error.startswith("watcher.toml:4: treasuries[0].watch[0].address: ")
    assert key[:8] not in error


@pytest.mark.parametrize("form", ["address", "xpub", "descriptor"])
def test_a_private_key_is_called_one_and_not_repeated(folder: Folder, form: str) -> None:
    for key in (
        "KyZpNDKnfs94vbrwhJneDi77V6jF64PWPF8x5cdJb8ifgg2DUc9d",
        "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE",
    ):
        text = f"wpkh({key}/0/*)" if form == "descriptor" else key
        (error,) = folder.errors(f'[[treasuries]]\nname = "one"\n[[treasuries.watch]]\n{form} = "{text}"\n')
        assert "a private key: never write one here" in error
        assert key[4:12] not in error


def test_a_wallet_is_watched_a_gap_ahead_on_both_branches(folder: Folder) -> None:
    config = folder.load(
        f"""
        [[treasuries]]
        name = "one"
        gap_limit = 3
        [[treasuries.watch]]
        xpub = "{ZPUB}"
        label = "savings"
        read = 2026-11-24
        [[treasuries.watch]]
        descriptor = "addr({GENESIS})"
        [[treasuries.watch]]
        address = "{FIRST}"
        """
    )
    treasury = config.treasuries[0]
    savings, fixed = treasury.wallets
    assert [script.address for script in savings.first] == [
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
        "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g",
        savings.script(0, 2, config.network).address,
        "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
        savings.script(1, 1, config.network).address,
        savings.script(1, 2, config.network).address,
    ]
    assert {(s.provenance.label, s.provenance.read) for s in savings.first} == {
        ("savings", date(2026, 11, 24))
    }
    assert [script.address for script in fixed.first] == [GENESIS]
    assert treasury.initial_scripts == (*treasury.scripts, *savings.first, *fixed.first)


def test_a_wallets_first_scripts_may_not_be_watched_twice(folder: Folder) -> None:
    text = f"""
[[treasuries]]
name = "one"
gap_limit = 5
[[treasuries.watch]]
xpub = "{ZPUB}"
[[treasuries]]
name = "two"
[[treasuries.watch]]
address = "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"
[[treasuries.watch]]
xpub = "{ZPUB}"
"""
    assert folder.errors(text) == [
        (
            "watcher.toml:10: treasuries[1].watch[0].address: "
            'the same script is already watched in "one": watcher.toml:6'
        ),
        (
            "watcher.toml:12: treasuries[1].watch[1].xpub: "
            'the same script is already watched in "one": watcher.toml:6'
        ),
    ]


def test_the_digest_is_of_what_a_wallet_watches_not_of_how_it_is_written(folder: Folder) -> None:
    def digest(watch: str) -> str:
        return config_digest(folder.load(f'[[treasuries]]\nname = "one"\n[[treasuries.watch]]\n{watch}\n'))

    one = digest(f'descriptor = "wpkh([d34db33f/84h]{XPUB}/0/*)"')
    assert one == digest(f"""descriptor = "wpkh([d34db33f/84']{XPUB}/0/*)" """)
    assert one != digest(f'descriptor = "wpkh([d34db33f/84h]{XPUB}/1/*)"')


def test_a_row_says_when_it_was_read_and_under_which_licence(folder: Folder) -> None:
    folder.write(f"address,read,licence\n{GENESIS},2026-11-24,CC0\n{FIRST},,\n", "list.csv")
    one, two = folder.load(LISTED).treasuries[0].scripts
    assert (one.provenance.read, one.provenance.licence, two.provenance.read, two.provenance.licence) == (
        date(2026, 11, 24),
        "CC0",
        None,
        None,
    )


def test_a_hundred_thousand_rows_take_about_a_second_of_processor_time(folder: Folder) -> None:
    folder.write("address\n" + "".join(f"{_address(n)}\n" for n in range(100_000)), "list.csv")
    best = min(_processor_seconds(folder) for _ in range(2))
    assert best < 2.0, "twice what it takes where nothing else runs"


def _processor_seconds(folder: Folder) -> float:
    before = time.process_time()
    assert len(folder.load(LISTED).treasuries[0].scripts) == 100_000
    return time.process_time() - before


def test_a_script_may_move_from_one_treasury_to_another(folder: Folder) -> None:
    def text(start: str) -> str:
        return f"""
[[treasuries]]
name = "one"
[[treasuries.watch]]
address = "{GENESIS}"
member_until = 800000
[[treasuries]]
name = "two"
[[treasuries.watch]]
address = "{GENESIS}"
member_from = {start}
[[treasuries.watch]]
addresses_file = "list.csv"
"""

    folder.write(f"address,member_until\n{FIRST},2025-01-01\n", "list.csv")
    one, two = folder.load(text("800000")).treasuries
    assert (one.scripts[0].provenance.member_until, two.scripts[0].provenance.member_from) == (
        800_000,
        800_000,
    )
    assert two.scripts[1].provenance.member_until == datetime(2025, 1, 1, tzinfo=UTC)
    for overlapping in ("799999", "2023-07-24T00:00:00Z"):
        (error,) = folder.errors(text(overlapping))
        assert "already watched" in error
