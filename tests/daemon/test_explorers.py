"""The daemon and `check --online` on explorers: every kind of source does the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, events_are, fresh
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from tests.toy.esplora import ToyEsplora

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon


def on(folder: Path, kind: str, url: str, *, extra: str = "") -> Daemon:
    """A daemon whose source is an explorer."""
    place = Place(folder, {"home": url})
    return place.daemon(place.config().replace('kind = "electrum"', f'kind = "{kind}"\n{extra}'))


@pytest.mark.parametrize("kind", ["esplora", "mempool"])
async def test_a_daemon_on_an_explorer_tells_what_happens(tmp_path: Path, kind: str) -> None:
    chain = ToyChain()
    async with (
        ToyEsplora(chain, blocks_a_page=15 if kind == "mempool" else 10) as toy,
        on(tmp_path, kind, toy.url, extra='budget = ["100/s", "100000/h"]') as daemon,
    ):
        await fresh(daemon)
        paid = chain.pay(ALPHA, 70_000)
        await events_are(daemon, 3)
        chain.mine()
        await events_are(daemon, 4)
        told = [(one["type"], one["data"].get("txid")) for one in await daemon.events()]
        assert ("tx.seen", paid) in told
        assert ("tx.confirmed", paid) in told
        (source,) = (await daemon.get("/api/v1/sources")).json()["sources"]
        assert (source["kind"], source["up"]) == (kind, True)


async def test_check_online_asks_every_kind(tmp_path: Path) -> None:
    chain = ToyChain()
    (tmp_path / "headers").write_text("Authorization: Bearer very-secret\n")
    async with ToyElectrum(chain) as electrum, ToyEsplora(chain) as explorer:
        place = Place(tmp_path, {"electrum": electrum.url, "explorer": explorer.url})
        first, second = place.config().split('name = "explorer"\n')
        explorers = 'kind = "esplora"\nheaders_file = "headers"\nbudget = "700/h"'
        second = second.replace('kind = "electrum"', explorers, 1)
        done = await place.daemon(f'{first}name = "explorer"\n{second}').command("check", "--online")
        assert done.code == 0, done.err
        assert f"source explorer: answers: regtest, tip {chain.height} {chain.tip.hash}, Python/" in done.out
        assert ", protocol esplora, " in done.out
        assert ", protocol 1.6, " in done.out
        assert [line.strip() for line in done.out.splitlines() if "limits:" in line] == [
            "limits: not known",
            "limits: we ask at most 700 times in 3600 s",
        ]
        assert "very-secret" not in done.out + done.err
        assert {headers["Authorization"] for headers in explorer.headers} == {"Bearer very-secret"}


async def test_headers_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("no header at all\n")
    daemon = on(tmp_path, "esplora", "http://127.0.0.1:9/api", extra='headers_file = "headers"')
    done = await daemon.command("check", "--online")
    assert done.code == 2
    assert "Name: value" in done.err
