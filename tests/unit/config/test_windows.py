"""What of wallets is on the watch list: whose, with what said of it, and how far ahead."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from watcher.app.watchlist import Moment, Windows, listing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.config import Config
    from watcher.ledger.watches import Listed

    from .conftest import Folder

# BIP 32, test vector 1 (BSD-2-Clause)
WALLET = (
    "wpkh(xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu"
    "8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB/0/*)"
)


def treasury(name: str, gap_limit: int, watch: str = "") -> str:
    """A treasury that has the wallet, with this said of it."""
    return f"""
[[treasuries]]
name = "{name}"
gap_limit = {gap_limit}
[[treasuries.watch]]
descriptor = "{WALLET}"
{watch}
"""


def lists(
    config: Config, windows: Windows, *, height: int = 100, used: Collection[ScriptHash] = ()
) -> dict[str, Sequence[Listed]]:
    """What each treasury has at a height; none of it collides."""
    found = listing(config, windows, Moment(height, 0, frozenset(used)))
    assert found.collisions == frozenset()
    return {each.name: each.scripts for each in found.treasuries}


def scripts(config: Config, *indexes: int) -> list[ScriptHash]:
    """Those of the wallet."""
    wallet = config.treasuries[0].wallets[0]
    return [wallet.script(0, index, config.network).scripthash for index in indexes]


def test_a_wallet_that_is_handed_on_is_watched_by_one_and_then_by_the_other(folder: Folder) -> None:
    config = folder.load(treasury("a", 2, "member_until = 200") + treasury("b", 2, "member_from = 200"))
    windows = Windows()
    for height, a, b in ((199, 2, 0), (200, 0, 2), (199, 2, 0)):
        found = lists(config, windows, height=height)
        assert (len(found["a"]), len(found["b"])) == (a, b)


def test_what_a_reload_says_of_a_wallet_is_in_force_at_once(folder: Folder) -> None:
    windows = Windows()

    def labels(watch: str) -> set[str | None]:
        return {entry.label for entry in lists(folder.load(treasury("a", 2, watch)), windows)["a"]}

    assert labels('label = "one"') == {"one"}
    assert labels('label = "two"') == {"two"}
    assert labels('label = "two"\nmember_until = 50') == set()
    assert labels('label = "two"') == {"two"}


def test_an_address_of_a_wallet_that_is_listed_by_itself_keeps_its_label_and_is_listed_once(
    folder: Folder,
) -> None:
    alone = folder.load(treasury("a", 3))
    address = alone.treasuries[0].wallets[0].script(0, 4, alone.network).address
    watch = f'label = "wallet"\n[[treasuries.watch]]\naddress = "{address}"\nlabel = "published"'
    config = folder.load(treasury("a", 3, watch))
    found = lists(config, Windows(), used=scripts(config, 2, 4))["a"]
    assert sorted(entry.scripthash for entry in found) == sorted(scripts(config, *range(8)))
    own = scripts(config, 4)
    assert {entry.label for entry in found if entry.scripthash in own} == {"published"}
    assert {entry.label for entry in found if entry.scripthash not in own} == {"wallet"}


def test_a_long_used_wallet_with_the_shortest_gap_is_listed_whole(folder: Folder) -> None:
    config = folder.load(treasury("a", 1))
    used = scripts(config, *range(1_500))
    found = lists(config, Windows(), used=used)["a"]
    assert [entry.scripthash for entry in found] == [*used, *scripts(config, 1_500)]


def test_no_script_of_a_list_is_anything_that_the_garbage_collector_looks_at(folder: Folder) -> None:
    listed = f'{treasury("a", 2)}label = "one"\npublished = 2024-03-14\nread = 2026-11-24\nlicence = "CC0"'
    apart = gc.get_freeze_count()
    config = folder.load(listed)
    (found,) = lists(config, Windows()).values()
    assert [(entry.published, entry.read, entry.licence) for entry in found] == [
        ("2024-03-14", "2026-11-24", "CC0")
    ] * 2
    assert not any(map(gc.is_tracked, [*config.treasuries[0].initial_scripts, *found]))
    assert gc.get_freeze_count() == apart  # what is garbage by then would never be found
