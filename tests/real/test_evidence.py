"""The evidence of treasuries on a real node: a bare Python verifies it, and it says what the node says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

from tests.real.checks import add_up
from tests.real.setting import setting
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.regtest import Regtest


def verified(archive: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a stranger sees who unpacks it."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    command = [sys.executable, "-I", "-S", str(folder / "verify.py")]
    return subprocess.run(command, env={}, capture_output=True, text=True, timeout=300, check=False)


async def test_a_stranger_finds_what_the_node_finds(shared_regtest: Regtest, tmp_path: Path) -> None:
    chain = shared_regtest.chain
    page, archive = tmp_path / "page.html", tmp_path / "evidence.zip"
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        alpha, beta = here.treasuries["alpha"], here.treasuries["beta"]
        for number, address in enumerate([*alpha, *beta]):  # each form of address
            await chain.fund(address, 300_000 + number)
        await chain.mine()
        await chain.spend(alpha[0], beta[0], 100_000)
        await chain.mine()
        await chain.reorg(1)
        await chain.mine()
        await here.caught_up()
        for name, addresses in here.treasuries.items():
            holds = await chain.utxo_total(addresses)

            async def told(name: str = name, holds: int = holds) -> bool:
                complete = await here.daemon.metric("watcher_treasury_complete_height", treasury=name)
                if complete != (await chain.tip())[0]:
                    return False  # the report is of the block up to which the balance is complete
                return add_up(await here.daemon.events()).get(name) == (holds, 0)

            await until(told, within=120, what=f"{name} as the node has it")
            done = await here.daemon.command("report", name, "--evidence", str(archive), "--out", str(page))
            assert done.code == 0, done.err
            found = await asyncio.to_thread(verified, archive, tmp_path / name)
            assert found.returncode == 0, found.stdout
            assert f"{name}: {holds} satoshis" in found.stdout
            assert f"{holds / 1e8:.8f} BTC" in page.read_text()
