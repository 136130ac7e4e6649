"""The node and the Electrum server are started, stopped and spoken to as they say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.stack.bitcoind import Node, RpcError
from tests.stack.chain import Chain
from tests.stack.electrumx import ElectrumError, ElectrumX
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

AMOUNT = 1_000_000


async def test_a_refusal_has_its_code_and_words(node: Node) -> None:
    with pytest.raises(RpcError, match="Block height out of range") as refusal:
        await node.rpc("getblockhash", 1)
    assert refusal.value.code == -8


async def test_two_nodes_talk_only_when_told_to(node: Node, tmp_path: Path) -> None:
    chain = await Chain.open(node)
    async with Node(tmp_path / "other", listening=True) as other:
        assert await other.rpc("getpeerinfo") == []
        await node.connect(other)
        tip = await chain.tip()

        async def caught_up() -> bool:
            return await Chain(other).tip() == tip

        await until(caught_up, within=120, what="the other node's tip")


@pytest.mark.parametrize(("version", "newest"), [("1.20.0", "1.6"), ("1.18.0", "1.4.3")])
async def test_each_version_speaks_its_protocol(node: Node, version: str, newest: str) -> None:
    await Chain.open(node)
    async with ElectrumX(node, version=version) as server:
        line = await server.connect()
        try:
            features = await line.ask("server.features")
        finally:
            await line.close()
    assert features["server_version"] == f"ElectrumX {version}"
    assert features["protocol_max"].removesuffix(".0") == newest


async def test_it_speaks_tls_with_the_certificate_it_says(node: Node) -> None:
    await Chain.open(node)
    async with ElectrumX(node, tls=True) as server:
        assert server.tls_url.startswith("ssl://127.0.0.1:")
        line = await server.connect(tls=True)
        try:
            assert (await line.ask("blockchain.headers.subscribe"))["height"] == 130
        finally:
            await line.close()
        stolen = ElectrumX(node, directory=server.directory.with_name("other"), tls=True)
        async with stolen:
            stolen.certificate.write_bytes(server.certificate.read_bytes())
            with pytest.raises(OSError, match="certificate verify failed"):
                await stolen.connect(tls=True)


async def test_a_subscriber_hears_of_a_payment_and_of_a_block(chain: Chain, electrumx: ElectrumX) -> None:
    address = await chain.new_address()
    of = await electrumx.scripthash(address)
    line = await electrumx.connect()
    try:
        await line.batch(("blockchain.headers.subscribe",), ("blockchain.scripthash.subscribe", of))
        await chain.fund(address, AMOUNT)
        rang, status = await line.notified("blockchain.scripthash.subscribe")
        assert rang == of
        assert status is not None
        await chain.mine()
        header = (await line.notified("blockchain.headers.subscribe"))[0]
        assert header["height"] == 131
    finally:
        await line.close()


async def test_a_refusal_is_raised(electrumx: ElectrumX) -> None:
    line = await electrumx.connect()
    try:
        with pytest.raises(ElectrumError, match="not a valid script hash"):
            await line.ask("blockchain.scripthash.get_history", "00")
    finally:
        await line.close()


async def test_it_catches_up_after_a_restart(chain: Chain, electrumx: ElectrumX) -> None:
    await electrumx.stop()
    assert await electrumx.tip() is None
    address = await chain.new_address()
    txid = await chain.fund(address, AMOUNT)
    await chain.mine()
    await electrumx.start()
    await electrumx.wait_height(131)
    await electrumx.wait_history(address, {txid: 131})
    await electrumx.restart()
    await electrumx.wait_history(address, {txid: 131})


async def test_paused_it_accepts_and_says_nothing(chain: Chain, electrumx: ElectrumX) -> None:
    line = await electrumx.connect()
    try:
        electrumx.pause()
        question = asyncio.create_task(line.ask("blockchain.headers.subscribe"))
        await chain.mine()
        done, _ = await asyncio.wait([question], timeout=0.5)
        assert not done
        electrumx.resume()
        assert (await question)["height"] in {130, 131}
        await electrumx.synced()
    finally:
        await line.close()


@pytest.mark.parametrize("cost_limits", [False, True])
async def test_only_with_cost_limits_a_greedy_client_has_to_wait(node: Node, *, cost_limits: bool) -> None:
    await Chain.open(node)
    async with ElectrumX(node, cost_limits=cost_limits) as server:
        line = await server.connect()

        async def be_greedy() -> None:
            for _ in range(8):
                await line.batch(*[("blockchain.block.headers", 0, 111)] * 100)

        greedy = asyncio.create_task(be_greedy())
        try:
            if cost_limits:
                assert not (await asyncio.wait([greedy], timeout=2))[0]
            else:
                await asyncio.wait_for(greedy, 300)
        finally:
            greedy.cancel()
            await asyncio.wait([greedy])
            await line.close()


async def test_it_survives_its_node_being_away(chain: Chain, electrumx: ElectrumX) -> None:
    await chain.node.restart()
    await chain.mine()
    await electrumx.synced()
