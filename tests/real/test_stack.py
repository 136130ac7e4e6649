"""The real parts do what their verbs say: everything later is judged by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from tests.stack.chain import AddressKind, Chain, NotEnoughError

if TYPE_CHECKING:
    from tests.stack.electrumx import ElectrumX
    from tests.stack.regtest import Regtest

AMOUNT = 1_000_000


async def transactions(chain: Chain, block: str) -> set[str]:
    return set((await chain.node.rpc("getblock", block))["tx"][1:])


# Transactions


@pytest.mark.parametrize("kind", get_args(AddressKind))
async def test_every_kind_of_address_is_funded_and_spent_from(
    shared_regtest: Regtest, kind: AddressKind
) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address, stranger = await chain.new_address(kind), await chain.stranger()

    funding = await chain.fund(address, AMOUNT)
    assert funding in await chain.mempool()
    await electrumx.wait_history(address, {funding: 0})
    assert await chain.utxo_total([address]) == 0

    await chain.mine()
    height, _ = await chain.tip()
    await electrumx.wait_history(address, {funding: height})
    assert await chain.utxo_total([address]) == AMOUNT

    spending = await chain.spend(address, stranger, 400_000)
    await electrumx.wait_history(address, {funding: height, spending: 0})
    await chain.mine()
    assert await chain.utxo_total([stranger]) == 400_000
    rest = await chain.utxo_total([address])
    assert 590_000 < rest < 600_000
    await electrumx.wait_history(address, {funding: height, spending: height + 1})


async def test_a_script_is_counted_like_its_address(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address = await chain.new_address()
    await chain.fund(address, AMOUNT)
    await chain.mine()
    script = (await chain.node.rpc("validateaddress", address))["scriptPubKey"]
    assert await chain.utxo_total(scripts=[script]) == AMOUNT


async def test_an_unconfirmed_coin_can_be_spent(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    funding = await chain.fund(address, AMOUNT)
    spending = await chain.spend(address, stranger, 500_000)
    assert {funding, spending} <= await chain.mempool()
    await chain.mine()
    assert await chain.utxo_total([stranger]) == 500_000


async def test_change_goes_where_it_is_sent(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    hot, cold, stranger = await chain.new_address(), await chain.new_address(), await chain.stranger()
    await chain.fund(hot, AMOUNT)
    await chain.spend(hot, stranger, 300_000, change=cold)
    await chain.mine()
    assert await chain.utxo_total([hot]) == 0
    assert 690_000 < await chain.utxo_total([cold]) < 700_000


async def test_a_self_transfer_costs_its_fee_and_a_sweep_leaves_nothing(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    await chain.fund(address, AMOUNT)
    await chain.fund(address, AMOUNT)
    await chain.self_transfer(address)
    await chain.mine()
    moved = await chain.utxo_total([address])
    assert 2 * AMOUNT - 2_000 < moved < 2 * AMOUNT
    assert len(await chain.coins(address)) == 1

    await chain.sweep(address, stranger)
    await chain.mine()
    assert await chain.utxo_total([address]) == 0
    assert moved - 2_000 < await chain.utxo_total([stranger]) < moved


async def test_nothing_is_spent_that_is_not_there(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    with pytest.raises(NotEnoughError):
        await chain.sweep(address, stranger)
    await chain.fund(address, AMOUNT)
    with pytest.raises(NotEnoughError):
        await chain.spend(address, stranger, AMOUNT)
    await chain.mine()


async def test_sixty_payments_wait_side_by_side(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address = await chain.new_address()
    txids = {await chain.fund(address, 10_000 + n) for n in range(60)}
    assert txids <= await chain.mempool()
    block = (await chain.mine())[0]
    assert txids <= await transactions(chain, block)


# Replacements


async def test_a_bump_pays_the_same_with_a_higher_fee(shared_regtest: Regtest) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address = await chain.new_address()
    first = await chain.fund(address, AMOUNT)
    second = await chain.replace(first)
    third = await chain.replace(second, fee_rate=20)
    mempool = await chain.mempool()
    assert third in mempool
    assert not {first, second} & mempool
    await electrumx.wait_history(address, {third: 0})
    await chain.mine()
    assert await chain.utxo_total([address]) == AMOUNT


async def test_a_double_spend_pays_somebody_else(shared_regtest: Regtest) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address, stranger = await chain.new_address(), await chain.stranger()
    first = await chain.fund(address, AMOUNT, fee_rate=50)
    await electrumx.wait_history(address, {first: 0})
    second = await chain.replace(first, to=stranger)
    assert await chain.mempool() >= {second}
    await electrumx.wait_history(address, {})
    await chain.mine()
    assert await chain.utxo_total([address]) == 0
    assert await chain.utxo_total([stranger]) > AMOUNT


async def test_descendants_of_a_replaced_transaction_fall(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    parent = await chain.fund(address, AMOUNT)
    child = await chain.spend(address, stranger, 100_000, fee_rate=50)
    replacement = await chain.replace(parent)
    mempool = await chain.mempool()
    assert replacement in mempool
    assert not {parent, child} & mempool
    await chain.mine()
    assert await chain.utxo_total([address]) == AMOUNT


async def test_twenty_replacements_in_a_row(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address = await chain.new_address()
    versions = [await chain.fund(address, AMOUNT)]
    for _ in range(20):
        versions.append(await chain.replace(versions[-1]))
    assert len(set(versions)) == 21
    assert set(versions) & await chain.mempool() == {versions[-1]}
    await chain.mine()
    assert await chain.utxo_total([address]) == AMOUNT


# Blocks


async def test_mine_only_leaves_the_others_waiting(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address = await chain.new_address()
    first, second = await chain.fund(address, 10_000), await chain.fund(address, 20_000)
    block = await chain.mine_only([second])
    assert await transactions(chain, block) == {second}
    assert first in await chain.mempool()
    assert await chain.utxo_total([address]) == 20_000
    await chain.mine()


async def test_mine_returns_the_hashes_in_order(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    before, _ = await chain.tip()
    hashes = await chain.mine(3)
    heights = [(await chain.node.rpc("getblockheader", block))["height"] for block in hashes]
    assert heights == [before + 1, before + 2, before + 3]


async def test_a_transaction_is_mined_that_never_waited(shared_regtest: Regtest) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address = await chain.new_address()
    draft = await chain.draft_fund(address, AMOUNT)
    assert draft.txid not in await chain.mempool()
    block = await chain.mine_with_raw(draft)
    assert await transactions(chain, block) == {draft.txid}
    await electrumx.wait_history(address, {draft.txid: (await chain.tip())[0]})


async def test_a_block_can_confirm_the_rival_of_what_waits(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    waiting = await chain.fund(address, AMOUNT)
    rival = await chain.draft_replacement(waiting, to=stranger)
    await chain.mine_with_raw(rival)
    assert waiting not in await chain.mempool()
    assert await chain.utxo_total([address]) == 0
    assert await chain.utxo_total([stranger]) > AMOUNT


# Reorganisations


async def test_kept_transactions_move_and_the_others_wait_again(shared_regtest: Regtest) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address = await chain.new_address()
    kept = await chain.fund(address, 10_000)
    await chain.mine()
    released = await chain.fund(address, 20_000)
    old = (await chain.mine())[0]
    height, _ = await chain.tip()

    new = await chain.reorg(2, keep=[kept])

    assert len(new) == 3
    assert (await chain.tip()) == (height + 1, new[-1])
    assert (await chain.node.rpc("getblockheader", old))["confirmations"] == -1
    assert await transactions(chain, new[0]) == {kept}
    assert await chain.mempool() == {released}
    await electrumx.synced()
    await electrumx.wait_history(address, {kept: height - 1, released: 0})
    assert await chain.utxo_total([address]) == 10_000
    await chain.mine()
    assert await chain.utxo_total([address]) == 30_000


async def test_a_parent_and_its_child_are_kept_in_their_order(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address, stranger = await chain.new_address(), await chain.stranger()
    parent = await chain.fund(address, AMOUNT)
    await chain.mine()
    child = await chain.spend(address, stranger, 100_000)
    await chain.mine()
    new = await chain.reorg(2, keep=[child, parent])
    assert await transactions(chain, new[0]) == {parent, child}
    assert await chain.mempool() == set()


async def test_what_waited_can_be_mined_by_the_new_branch(shared_regtest: Regtest) -> None:
    chain = shared_regtest.chain
    address = await chain.new_address()
    await chain.mine()
    waiting = await chain.fund(address, AMOUNT)
    new = await chain.reorg(1, keep=[waiting])
    assert await transactions(chain, new[0]) == {waiting}


async def test_the_new_branch_can_double_spend(shared_regtest: Regtest) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address, stranger = await chain.new_address(), await chain.stranger()
    confirmed = await chain.fund(address, AMOUNT)
    rival = await chain.draft_replacement(confirmed, to=stranger)
    await chain.mine()
    await electrumx.wait_history(address, {confirmed: (await chain.tip())[0]})

    new = await chain.reorg(1, raw=[rival.raw])

    assert await transactions(chain, new[0]) == {rival.txid}
    assert confirmed not in await chain.mempool()
    await electrumx.wait_history(address, {})
    assert await chain.utxo_total([address]) == 0


@pytest.mark.parametrize("depth", [12, 60])
async def test_a_deep_one_loses_transactions_and_their_coins_are_spendable_again(
    shared_regtest: Regtest, depth: int
) -> None:
    chain, electrumx = shared_regtest.chain, shared_regtest.electrumx
    address, stranger = await chain.new_address(), await chain.stranger()
    funding = await chain.fund(address, AMOUNT)
    await chain.mine()
    height, _ = await chain.tip()
    lost = await chain.spend(address, stranger, 100_000)
    await chain.mine(depth)

    await chain.reorg(depth)

    assert lost not in await chain.mempool()
    await electrumx.synced()
    await electrumx.wait_history(address, {funding: height})
    again = await chain.spend(address, stranger, 200_000)
    await chain.mine()
    assert again != lost
    assert await chain.utxo_total([stranger]) == 200_000


# What the mempool forgets


async def test_the_mempool_is_dropped_but_for_what_is_kept(chain: Chain, electrumx: ElectrumX) -> None:
    address, stranger = await chain.new_address(), await chain.stranger()
    parent = await chain.fund(address, AMOUNT)
    child = await chain.spend(address, stranger, 100_000)
    dropped = await chain.fund(address, 20_000)
    assert await chain.mempool() == {parent, child, dropped}

    await chain.drop_mempool(keep=[child, parent])

    assert await chain.mempool() == {parent, child}
    await electrumx.wait_history(address, {parent: 0, child: -1})
    assert await chain.spend(address, stranger, 50_000) in await chain.mempool()


async def test_a_dropped_transaction_can_come_back_in_a_block(chain: Chain) -> None:
    address = await chain.new_address()
    draft = await chain.draft_fund(address, AMOUNT)
    await chain.send(draft)
    await chain.drop_mempool()
    assert await chain.mempool() == set()
    await chain.mine_with_raw(draft)
    assert await chain.utxo_total([address]) == AMOUNT


async def test_the_coin_of_a_dropped_chain_of_replacements_is_spendable_again(chain: Chain) -> None:
    address, stranger = await chain.new_address(), await chain.stranger()
    await chain.fund(address, AMOUNT)
    await chain.mine()
    await chain.replace(await chain.spend(address, stranger, 100_000))
    await chain.drop_mempool()
    await chain.spend(address, stranger, 300_000)
    await chain.mine()
    assert await chain.utxo_total([stranger]) == 300_000
