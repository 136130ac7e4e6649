"""Two nodes with two Electrum servers that are parted, mine different branches and meet again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.stack.bitcoind import Node
from tests.stack.chain import Chain
from tests.stack.daemon import Daemon
from tests.stack.electrumx import ElectrumX
from tests.stack.processes import free_port, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.stack.fetch import Parts


def config(old: ElectrumX, new: ElectrumX, address: str) -> str:
    return f"""network = "regtest"
state_directory = "state"
[http]
listen = "127.0.0.1:{free_port()}"
[timing]
reread = "2s"
[[sources]]
name = "old"
kind = "electrum"
url = "{old.url}"
[[sources]]
name = "new"
kind = "electrum"
url = "{new.url}"
[[treasuries]]
name = "alpha"
[[treasuries.watch]]
address = "{address}"
"""


async def told(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    """The events of a type."""
    return [event["data"] for event in await daemon.events() if event["type"] == kind]


async def becomes(ask: Callable[[], Any], what: str) -> Any:
    """Its first true answer. A node alone holds a transaction back from a peer for 5 s, at random."""
    return await until(ask, within=180, what=what)


async def same_tip(one: Node, two: Node) -> None:
    """Until both nodes have one."""

    async def same() -> bool:
        return bool(await one.rpc("getbestblockhash") == await two.rpc("getbestblockhash"))

    await becomes(same, "one tip")


async def part(one: Node, two: Node) -> None:
    """Until neither has a peer: what a node is told to do about its peers it does a while later."""
    for node in (one, two):
        await node.rpc("setnetworkactive", False)

    async def parted() -> bool:
        return not any([await node.rpc("getconnectioncount") for node in (one, two)])

    await becomes(parted, "no peer")


async def test_branches_of_equal_work_then_a_longer_one_are_told_truly(
    stack_cache: Parts, tmp_path: Path
) -> None:
    async with Node(tmp_path / "one", listening=True) as one, Node(tmp_path / "two", listening=True) as two:
        await two.connect(one)
        chain = await Chain.open(one)
        address = await chain.new_address()
        stranger = await chain.stranger()
        await same_tip(one, two)
        async with (
            ElectrumX(one, version="1.18.0") as old,
            ElectrumX(two) as new,
            Daemon(config(old, new, address), tmp_path / "daemon") as daemon,
        ):

            async def fresh() -> bool:
                return (await daemon.get("/freshz")).status == 200

            await becomes(fresh, "the first reading")
            txid = await chain.fund(address, 70_000)

            async def seen() -> list[Any]:
                return await told(daemon, "tx.seen")

            (sight,) = await becomes(seen, "the inflow")
            assert (sight["txid"], sight["trust"], sight["sources"]) == (txid, "corroborated", ["new", "old"])

            await part(one, two)
            await chain.mine()

            async def confirmed() -> list[Any]:
                return await told(daemon, "tx.confirmed")

            (first,) = await becomes(confirmed, "the inflow in one branch")
            await two.rpc("generateblock", stranger, [])
            await new.wait_height(await two.rpc("getblockcount"))
            rounds = await daemon.metric("watcher_source_requests_total", source="new", outcome="ok")
            assert rounds is not None

            async def looked_again() -> bool:
                now = await daemon.metric("watcher_source_requests_total", source="new", outcome="ok")
                return now is not None and now > rounds + 10

            await becomes(looked_again, "another look at the rival branch")
            assert not await told(daemon, "chain.reorganized")

            await two.rpc("generateblock", stranger, [])
            longer = await two.rpc("getbestblockhash")

            async def reorganized() -> list[Any]:
                return await told(daemon, "chain.reorganized")

            (change,) = await becomes(reorganized, "the longer branch")
            assert (change["depth"], change["new_tip"]["hash"]) == (1, longer)

            for node in (one, two):
                await node.rpc("setnetworkactive", True)
            await two.connect(one)
            await same_tip(one, two)

            async def unconfirmed() -> list[Any]:
                return await told(daemon, "tx.unconfirmed")

            (left,) = await becomes(unconfirmed, "the inflow out of the chain")
            assert (left["incident"], left["block"]["hash"]) == (first["incident"], first["block"]["hash"])
            await chain.mine()
            await same_tip(one, two)

            async def again() -> bool:
                return len(await confirmed()) == 2 and await fresh()

            await becomes(again, "the inflow in the chain again")
            sums = [
                event["delta_sats"] for event in map(_data, await daemon.events()) if "delta_sats" in event
            ]
            assert sum(delta["confirmed"] for delta in sums) == await chain.utxo_total([address]) == 70_000
            assert sum(delta["pending"] for delta in sums) == 0
            sources = (await daemon.read("/api/v1/sources")).json()["sources"]
            assert {source["name"]: sum(source["strikes"].values()) for source in sources} == {
                "old": 0,
                "new": 0,
            }
            assert (await daemon.command("verify")).code == 0


def _data(event: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = event["data"]
    return data
