"""Histories in pages: whole or an error, read again when they moved, and not read twice in vain."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.sources.explorers import SELDOM, connected
from tests.toy.bells import Bells
from tests.toy.chain import MATURITY
from tests.toy.coding import scripthash
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.status import status_hash
from watcher.sources.base import Claim, TooBusy, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.toy.chain import ToyChain
    from watcher.sources.base import Histories
    from watcher.sources.esplora import EsploraSource

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)
NEVER = scripthash(b"\x51\x52")
PAGE, COUNTS, CHAIN = "scripthash/*/txs", "scripthash/*", "scripthash/*/txs/chain/*"


@pytest.fixture
async def server(chain: ToyChain) -> AsyncIterator[ToyEsplora]:
    chain.mine(2 * MATURITY)
    async with ToyEsplora(chain, txs_a_page=5) as started:
        yield started


@pytest.fixture
async def source(server: ToyEsplora, bells: Bells) -> AsyncIterator[EsploraSource]:
    async with connected(server.url, bells) as running:
        server.counts.clear()
        yield running


def pay(chain: ToyChain, count: int, *, a_block: int = 1) -> None:
    """So many payments in blocks of so many each."""
    for at in range(count):
        chain.pay(OURS, 10_000 + at)
        if at % a_block == a_block - 1:
            chain.mine()
    if chain.mempool:
        chain.mine()


def whole(chain: ToyChain) -> tuple[Claim, ...]:
    """As it is."""
    return tuple(Claim(txid, height if height > 0 else None) for txid, height in chain.history(US))


def told(histories: Histories) -> Any:
    return histories.histories[US]


async def test_an_unchanged_first_page_asks_nothing_more(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 23, a_block=2)
    chain.pay(OURS, 1)
    first = await source.watch([US, NEVER])
    assert server.counts[CHAIN] == 4
    server.counts.clear()
    assert await source.watch([US, NEVER]) == first
    assert server.counts == {PAGE: 2}
    assert told(await source.histories([US])) == whole(chain)
    assert server.counts[PAGE] == 3
    assert server.counts[COUNTS] == 0


async def test_paging_ends_at_the_first_known_transaction(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 40)
    await source.watch([US])
    server.counts.clear()
    pay(chain, 7, a_block=3)
    assert told(await source.histories([US])) == whole(chain)
    assert server.counts[CHAIN] == 1


async def test_a_reorganisation_is_read_down_to_where_nothing_changed(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 40)
    before = (await source.watch([US]))[US]
    chain.reorg(12)
    chain.mine()
    server.counts.clear()
    assert told(await source.histories([US])) == whole(chain)
    assert (await source.watch([US]))[US] != before
    assert 0 < server.counts[CHAIN] < 8


async def test_the_order_within_a_block_is_the_blocks(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 12, a_block=12)
    assert [claim.txid for claim in told(await source.histories([US]))] == [t for t, _ in chain.history(US)]
    assert (await source.watch([US]))[US] == status_hash(chain.history(US))
    assert server.counts["block/*/txids"] == 2  # histories of what is not watched are not kept


@pytest.mark.parametrize("what", [CHAIN, COUNTS, PAGE])
async def test_pages_that_move_are_read_again(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource, what: str
) -> None:
    pay(chain, 14)

    def pay_and_mine() -> None:
        chain.pay(OURS, 5)
        chain.reorg(3)
        chain.mine()

    server.once(what, pay_and_mine)
    assert told(await source.histories([US])) == whole(chain)


async def test_pages_that_never_hold_still_are_unavailable(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 14)

    async def move(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        chain.pay(OURS, 5)
        chain.mine()
        return honest

    server.bends[PAGE] = move
    with pytest.raises(Unavailable, match="not whole"):
        await source.watch([US])
    assert server.counts[PAGE] <= 6


async def test_an_anchor_that_vanished_is_noticed(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 14)
    server.answer(CHAIN, text="[]", content_type="application/json")  # as electrs answers to an unknown id
    with pytest.raises(Unavailable, match="not whole"):
        await source.watch([US])
    server.answer(CHAIN, status=422, text="after_txid not found")  # and mempool.space's
    with pytest.raises(Unavailable, match="not whole"):
        await source.watch([US])


async def test_pages_without_end_are_not_followed(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 14)

    async def again(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        page = json.loads(honest.text or "")
        for tx in page:
            tx["txid"] = "ab" * 32
        return web.json_response(page[:1] * 100)

    server.bends[CHAIN] = again
    with pytest.raises(Unavailable, match="not whole"):
        await source.watch([US])
    assert server.counts[CHAIN] == 3


@pytest.mark.parametrize(("count", "busy"), [(49, False), (50, True), (60, True)])
async def test_fifty_unconfirmed_are_as_many_as_are_shown(
    chain: ToyChain, source: EsploraSource, count: int, *, busy: bool
) -> None:
    pay(chain, 3)
    for at in range(count):
        chain.pay(OURS, 1_000 + at)
    answer = told(await source.histories([US]))
    assert isinstance(answer, TooBusy) if busy else answer == whole(chain)
    assert isinstance((await source.watch([US]))[US], TooBusy) == busy


async def test_fewer_unconfirmed_than_counted_are_not_all(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 3)
    chain.pay(OURS, 5_000)
    hidden = {"chain_stats": {"tx_count": 3}, "mempool_stats": {"tx_count": 2}}
    server.answer(COUNTS, text=json.dumps(hidden), content_type="application/json")
    with pytest.raises(Unavailable, match="1 of 2"):
        await source.watch([US])


async def test_more_than_counted_is_not_believed_either(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 3)
    fewer = {"chain_stats": {"tx_count": 2}, "mempool_stats": {"tx_count": 0}}
    server.answer(COUNTS, text=json.dumps(fewer), content_type="application/json")
    with pytest.raises(Unavailable, match="3 of 2"):
        await source.watch([US])


async def test_what_an_earlier_reading_had_and_the_server_drops_is_not_held_against_it_for_ever(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 12)
    await source.watch([US])
    hidden = chain.history(US)[3][0]
    server.faults.omitted.add(hidden)
    pay(chain, 1)
    assert told(await source.histories([US])) == tuple(c for c in whole(chain) if c.txid != hidden)


async def test_empty_for_a_busy_script_is_not_believed(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 3)
    nothing = {"chain_stats": {"tx_count": 0}, "mempool_stats": {"tx_count": 0}}
    empty = {"text": "[]", "content_type": "application/json"}
    server.answer(PAGE, **empty)
    assert told(await source.histories([US])) == whole(chain)  # the counts say that there is more to ask for
    server.answer("scripthash/*/txs/chain", **empty)
    with pytest.raises(Unavailable, match="not whole"):
        await source.watch([US])
    server.bends.clear()
    await source.watch([US])
    server.answer(PAGE, **empty)
    server.answer(COUNTS, text=json.dumps(nothing), content_type="application/json")
    with pytest.raises(Unavailable, match="denies"):
        await source.watch([US])


async def test_empty_is_believed_once_the_block_is_gone(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    paid = chain.pay(OURS, 5_000)
    chain.mine()
    await source.watch([US])
    chain.reorg(1)
    chain.drop(paid)
    assert (await source.watch([US]))[US] is None
    assert server.counts["block/*/status"] == 1


async def test_a_history_that_is_too_long_is_unsupported(chain: ToyChain, server: ToyEsplora) -> None:
    pay(chain, 12)
    async with connected(server.url, Bells(), asking=replace(SELDOM, history=11)) as source:
        assert isinstance((await source.watch([US]))[US], TooBusy)
        assert server.counts[CHAIN] == 0
    async with connected(server.url, Bells(), asking=replace(SELDOM, history=12)) as source:
        assert told(await source.histories([US])) == whole(chain)


async def test_a_reading_that_was_cut_off_goes_on_where_it_stopped(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 40)
    failing = 0

    async def fail_later(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        nonlocal failing
        failing += 1
        return honest if failing <= 4 else web.Response(status=502)

    server.bends[CHAIN] = fail_later
    with pytest.raises(Unavailable, match="502"):
        await source.watch([US])
    server.bends.clear()
    server.counts.clear()
    pay(chain, 2)
    assert told(await source.histories([US])) == whole(chain)
    assert server.counts[CHAIN] == 3  # 25 of 42 were known, and the page to the joint asked for nothing


async def test_one_height_has_one_block(chain: ToyChain, server: ToyEsplora, source: EsploraSource) -> None:
    pay(chain, 4, a_block=2)

    async def another(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        page = json.loads(honest.text or "")
        page[0]["status"]["block_hash"] = "ab" * 32
        return web.json_response(page)

    server.bends[PAGE] = another
    with pytest.raises(Unavailable, match="two blocks"):
        await source.watch([US])


async def test_a_transaction_must_be_in_its_block(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    pay(chain, 4, a_block=4)
    server.answer("block/*/txids", text=json.dumps(["ab" * 32]), content_type="application/json")
    with pytest.raises(Unavailable, match="not in its block"):
        await source.watch([US])


@pytest.mark.parametrize(
    "status",
    [
        {"confirmed": True},
        {"confirmed": True, "block_height": 5},
        {"confirmed": True, "block_height": -2, "block_hash": "ab" * 32},
        {"confirmed": True, "block_height": 2**31, "block_hash": "ab" * 32},
        {"confirmed": True, "block_height": 1.5, "block_hash": "ab" * 32},
        {"confirmed": True, "block_height": "5", "block_hash": "ab" * 32},
        {"confirmed": True, "block_height": True, "block_hash": "ab" * 32},
        {"confirmed": True, "block_height": 5, "block_hash": "AB" * 32},
        {"confirmed": 1, "block_height": 5, "block_hash": "ab" * 32},
        {"confirmed": None},
        {},
    ],
)
async def test_a_place_that_is_none_is_refused_with_the_whole_answer(
    server: ToyEsplora, source: EsploraSource, status: dict[str, Any]
) -> None:
    tx = {"txid": "cd" * 32, "vin": [], "status": status}
    server.answer(PAGE, text=json.dumps([tx]), content_type="application/json")
    with pytest.raises(Unavailable):
        await source.watch([US])


async def test_beyond_the_tip_is_not_believed(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    height = chain.height
    pay(chain, 1)
    server.faults.tip_height = chain.height
    server.answer("blocks/tip/hash", text=chain.blocks[height].hash)
    assert isinstance(told(await source.histories([US])), Unavailable)


async def test_headers_are_read_again_when_the_chain_moved(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    start, end = chain.height - 100, chain.height
    server.once("blocks/*", lambda: chain.reorg(40))
    headers = await source.headers(start, 101)
    assert headers == tuple(block.header for block in chain.blocks[start : end + 1])
    assert server.counts["blocks/*"] == 22


async def test_two_thousand_headers_are_a_page_of_ten_each(
    chain: ToyChain, server: ToyEsplora, source: EsploraSource
) -> None:
    chain.mine(2_016)
    headers = await source.headers(chain.height - 2_015, 2_016)
    assert headers == tuple(block.header for block in chain.blocks[-2_016:])
    assert server.counts["blocks/*"] == 202


async def test_who_was_read_longest_ago_is_read_first(
    chain: ToyChain, server: ToyEsplora, bells: Bells
) -> None:
    scripts = [scripthash(bytes([at, at])) for at in range(8)]
    order: list[str] = []

    async def note(request: web.Request, honest: web.Response) -> web.StreamResponse:
        order.append(request.match_info["path"].split("/")[1])
        return honest

    server.bends[PAGE] = note
    async with connected(server.url, bells, asking=replace(SELDOM, at_once=1)) as source:
        await source.watch(scripts[:4])
        order.clear()
        await source.watch(scripts)
    assert order == [bytes.fromhex(script)[::-1].hex() for script in [*scripts[4:], *scripts[:4]]]


async def test_forgotten_is_read_anew(chain: ToyChain, server: ToyEsplora, source: EsploraSource) -> None:
    pay(chain, 12)
    await source.watch([US])
    await source.forget([US])
    server.counts.clear()
    await source.watch([US])
    assert server.counts[CHAIN] == 2
