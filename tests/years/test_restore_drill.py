"""After a disaster: what a replica gives back, an older moment without its companions, becomes a new log."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, events_are, fresh
from tests.stack.processes import until
from watcher.ledger.opening import path_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

pytestmark = pytest.mark.slow


async def told_of(daemon: Daemon, txid: str) -> set[str]:
    """The ids of what is in the log about a transaction, once there is something."""

    async def ids() -> set[str]:
        return {one["data"]["id"] for one in await daemon.events() if one["data"].get("txid") == txid}

    return await until(ids, within=60, what=f"an event about {txid}")


async def test_a_replica_is_restored_as_a_new_log_and_tells_the_rest_with_equal_ids(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    here = Place(tmp_path / "here", {"home": toy.url})
    async with here.daemon() as daemon:
        await fresh(daemon)
        early = toy.chain.pay(ALPHA, 10_000)
        before = await told_of(daemon, early)
        (tmp_path / "replica").mkdir()
        with (
            closing(sqlite3.connect(path_in(here.folder / "state"))) as live,
            closing(sqlite3.connect(path_in(tmp_path / "replica"))) as copy,
        ):
            live.backup(copy)
        late = toy.chain.pay(ALPHA, 20_000)
        after = await told_of(daemon, late)
        log = (await daemon.events())[0]["data"]["log"]
        daemon.kill()
    shutil.rmtree(here.folder / "state")

    replica = here.daemon(here.config(state=str(tmp_path / "replica")))
    taken = tmp_path / "taken"
    assert (await replica.command("backup", str(taken))).code == 0
    again = here.daemon()
    done = await again.command("restore", str(taken), "--into", str(here.folder / "state"))
    assert done.code == 0, done.err
    async with again:
        await fresh(again)
        await events_are(again, 4)
        assert await told_of(again, early) == before
        assert await told_of(again, late) == after
        status = await again.command("status", "--json")
        assert f'"log": "{log}"' not in status.out
        assert (await again.command("verify")).code == 0
