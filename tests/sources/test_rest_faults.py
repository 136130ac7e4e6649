"""What explorers and the proxies before them do wrong: each is a source that failed, and never data."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.sources.explorers import OFTEN, SELDOM, connected
from tests.toy.coding import scripthash
from tests.toy.esplora import ToyEsplora
from watcher.bitcoin.types import Txid
from watcher.sources.base import Misbehaved, NotThere, SourceError, TooBusy, Unavailable
from watcher.sources.health import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.toy.bells import Bells
    from tests.toy.chain import ToyChain
    from watcher.sources.esplora import EsploraSource

OURS = b"\x00\x14" + b"\x01" * 20
US = scripthash(OURS)
HTML = "<html><head><title>Are you human?</title></head></html>"
NOTICE = {"error": "Too Many Requests", "message": "Blockstream Explorer API NOTICE: " + "x" * 300}

# the path each question depends on
TIP, BLOCK, PAGE, COUNTS = "blocks/tip/hash", "block/*", "scripthash/*/txs", "scripthash/*"
RAW, BRANCH, BLOCKS = "tx/*/hex", "tx/*/merkle-proof", "blocks/*"
PATHS = [TIP, BLOCK, PAGE, COUNTS, RAW, BRANCH, BLOCKS]
# in `make check` two of them stand for all
ANY_PATH = [path if path in {TIP, PAGE} else pytest.param(path, marks=pytest.mark.slow) for path in PATHS]


class Setting:
    """A chain with one payment to us in its last block, and one before that."""

    def __init__(self, chain: ToyChain, server: ToyEsplora, source: EsploraSource) -> None:
        self.chain, self.server, self.source = chain, server, source
        self.paid = chain.pay(OURS, 50_000)
        chain.mine()

    def question(self, path: str) -> Callable[[], Awaitable[Any]]:
        """The question that asks at this path."""
        source, height = self.source, self.chain.height
        questions: dict[str, Callable[[], Awaitable[Any]]] = {
            RAW: lambda: source.transactions([self.paid]),
            BRANCH: lambda: source.branches([(self.paid, height)]),
            BLOCKS: lambda: source.headers(0, height + 1),
            PAGE: lambda: source.watch([US]),
            COUNTS: lambda: source.watch([US]),
        }
        return questions.get(path, source.tip)


@pytest.fixture
async def setting(chain: ToyChain, bells: Bells) -> AsyncIterator[Setting]:
    async with (
        ToyEsplora(chain) as server,
        connected(server.url, bells, asking=replace(SELDOM, request=60.0)) as source,
    ):
        yield Setting(chain, server, source)


@pytest.fixture
async def hurried(chain: ToyChain, bells: Bells) -> AsyncIterator[Setting]:
    """Of a source that waits for nobody long: it may give up what would have come, too."""
    async with (
        ToyEsplora(chain) as server,
        connected(server.url, bells, asking=replace(SELDOM, request=0.5)) as source,
    ):
        yield Setting(chain, server, source)


ANSWERS: dict[str, dict[str, Any]] = {
    "a page for people": {"text": HTML, "content_type": "text/html"},
    "a page for people that says it is plain text": {"text": HTML, "content_type": "text/plain"},
    "a page for people that says it is JSON": {"text": HTML, "content_type": "application/json"},
    "nothing": {"text": "", "content_type": "application/json"},
    "nothing in plain text": {"text": ""},
    "a notice in JSON": {"text": json.dumps(NOTICE), "content_type": "application/json"},
    "a notice in plain text": {"text": json.dumps(NOTICE)},
    "an empty list": {"text": "[]", "content_type": "application/json"},
    "an empty object": {"text": "{}", "content_type": "application/json"},
    "null": {"text": "null", "content_type": "application/json"},
    "a list of what is no block and no transaction": {"text": "[1]", "content_type": "application/json"},
    "JSON nested 100,000 deep": {"text": "[" * 100_000, "content_type": "application/json"},
    "what is not UTF-8": {"body": b'{"a": "\xff"}', "content_type": "application/json"},
    "no media type": {"body": b"[]", "content_type": "application/octet-stream"},
    "a redirect": {"status": 301, "headers": {"location": "http://127.0.0.1:1/"}},
    "a redirect to itself": {"status": 302, "headers": {"location": "?"}},
    "no content": {"status": 204},
    "a bad gateway": {"status": 502, "text": HTML, "content_type": "text/html"},
    "a proxy's not found": {"status": 404, "text": HTML, "content_type": "text/html"},
    "a refusal": {"status": 400, "text": "Invalid hash string"},
    "a zipped page": {
        "body": gzip.compress(b"[]"),
        "content_type": "application/json",
        "headers": {"content-encoding": "gzip"},
    },
    "a bomb": {
        "body": gzip.compress(b"[" + b" " * 30_000_000 + b"]"),
        "content_type": "application/json",
        "headers": {"content-encoding": "gzip"},
    },
}


@pytest.mark.parametrize("path", ANY_PATH)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_is_no_answer_is_unavailable(setting: Setting, path: str, answer: str) -> None:
    setting.server.answer(path, **ANSWERS[answer])
    if path == PAGE:  # an empty page alone is not the end: tests/sources/test_rest_histories.py
        setting.server.answer(f"{PAGE}/chain", **ANSWERS[answer])
    with pytest.raises(Unavailable):
        await setting.question(path)()


@pytest.mark.parametrize("path", ANY_PATH)
async def test_nobody_is_sent_elsewhere(setting: Setting, path: str) -> None:
    async with ToyEsplora(setting.chain) as other:

        async def redirect(request: web.Request, _honest: web.Response) -> web.StreamResponse:
            where = f"{other.url}/{request.match_info['path']}"
            return web.Response(status=302, headers={"location": where})

        setting.server.bends[path] = redirect
        with pytest.raises(Unavailable, match="302"):
            await setting.question(path)()
        assert other.asked == 0


@pytest.mark.parametrize("path", ANY_PATH)
async def test_an_answer_that_says_it_is_compressed_is_not_looked_at(setting: Setting, path: str) -> None:
    async def mislabel(_request: web.Request, honest: web.Response) -> web.StreamResponse:
        honest.headers["content-encoding"] = "zstd"
        return honest

    setting.server.bends[path] = mislabel
    with pytest.raises(Unavailable, match="compressed"):
        await setting.question(path)()


@pytest.mark.parametrize("path", ANY_PATH)
@pytest.mark.parametrize("fault", ["cut", "shorten"])
async def test_half_an_answer_is_unavailable(setting: Setting, path: str, fault: str) -> None:
    getattr(setting.server, fault)(path)
    with pytest.raises(Unavailable):
        await setting.question(path)()
    assert setting.source.health().requests[Outcome.TIMEOUT] == 0


@pytest.mark.parametrize("path", ANY_PATH)
@pytest.mark.parametrize("fault", ["stall", "drip"])
async def test_an_answer_that_does_not_come_is_given_up(hurried: Setting, path: str, fault: str) -> None:
    getattr(hurried.server, fault)(path)
    with pytest.raises(Unavailable):
        await hurried.question(path)()
    assert hurried.source.health().requests[Outcome.TIMEOUT] > 0


@pytest.mark.parametrize("path", [*PATHS[:2], RAW, BRANCH, BLOCKS])
async def test_an_answer_without_end_is_cut_off(setting: Setting, path: str) -> None:
    media = "application/json" if path in {BLOCK, BRANCH, BLOCKS} else "text/plain"
    setting.server.answer(path, text=" " * 9_000_000, content_type=media)
    with pytest.raises(Unavailable, match="more than"):
        await setting.question(path)()


async def test_a_page_that_is_too_large_makes_its_script_unsupported(setting: Setting) -> None:
    setting.server.answer(PAGE, text=" " * 17_000_000, content_type="application/json")
    assert isinstance((await setting.source.watch([US]))[US], TooBusy)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("form", "least", "most"), [("700", 700, 700), ("date", 60, 92), ("99999999", 3_600, 3_600)]
)
async def test_told_to_wait_it_is_not_asked_meanwhile(
    setting: Setting, status: int, form: str, least: float, most: float
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    setting.server.answer(
        "*", status=status, text=HTML, headers={"retry-after": date if form == "date" else form}
    )
    with pytest.raises(Unavailable) as refused:
        await setting.source.tip()
    assert refused.value.retry_after is not None
    assert least <= refused.value.retry_after <= most
    asked = setting.server.asked
    with pytest.raises(Unavailable, match="wait") as again:
        await setting.source.histories([US])
    assert again.value.retry_after is not None
    assert 0 < again.value.retry_after <= most
    assert setting.server.asked == asked


@pytest.mark.parametrize("header", ["soon", "-5", "1.5", "", "9" * 400])
async def test_a_wait_that_makes_no_sense_is_thirty_seconds(setting: Setting, header: str) -> None:
    setting.server.answer("*", status=429, headers={"retry-after": header})
    with pytest.raises(Unavailable) as refused:
        await setting.source.tip()
    assert refused.value.retry_after == 30


@pytest.mark.parametrize(
    ("status", "text"), [(400, "Too many history transactions (>500). Contact support."), (413, "too large")]
)
async def test_a_history_it_refuses_is_unsupported_there(setting: Setting, status: int, text: str) -> None:
    setting.server.answer(PAGE, status=status, text=text)
    assert isinstance((await setting.source.watch([US]))[US], TooBusy)


async def test_a_false_header_is_blamed(setting: Setting) -> None:
    height, chain = setting.chain.height, setting.chain
    block = {
        "id": chain.tip.hash,
        "height": height,
        "version": 2,
        "timestamp": 1,
        "bits": 1,
        "nonce": 1,
        "merkle_root": "11" * 32,
        "previousblockhash": "22" * 32,
    }
    setting.server.answer(BLOCK, text=json.dumps(block), content_type="application/json")
    with pytest.raises(Misbehaved, match="hash"):
        await setting.source.tip()
    setting.server.bends.clear()
    blocks = [block | {"height": height - at} for at in range(10)]
    setting.server.answer(BLOCKS, text=json.dumps(blocks), content_type="application/json")
    with pytest.raises(Misbehaved, match="hash"):
        await setting.source.headers(0, height)


async def test_another_transaction_is_given_on_to_be_judged(setting: Setting) -> None:
    other = setting.chain.pay(OURS, 1_000)
    raw = setting.chain.transactions[other].raw
    setting.server.answer(RAW, text=raw.hex())
    assert await setting.source.transactions([setting.paid]) == {setting.paid: raw}


@pytest.mark.parametrize("merkle", [["zz"], ["11" * 32] * 65, ["11" * 31]])
async def test_a_branch_that_is_none_is_blamed(setting: Setting, merkle: list[str]) -> None:
    told = {"block_height": setting.chain.height, "merkle": merkle, "pos": 1}
    setting.server.answer(BRANCH, text=json.dumps(told), content_type="application/json")
    where = [(setting.paid, setting.chain.height)]
    assert isinstance((await setting.source.branches(where))[setting.paid], Misbehaved)


async def test_headers_go_with_every_request_and_none_is_compressed(chain: ToyChain, bells: Bells) -> None:
    asking = replace(SELDOM, headers={"Authorization": "Bearer secret", "Accept-Encoding": "gzip"})
    async with ToyEsplora(chain) as server, connected(server.url, bells, asking=asking) as source:
        await source.tip()
        assert "secret" not in repr(asking)
        for headers in server.headers:
            folded = {name.lower(): value for name, value in headers.items()}
            assert (folded["authorization"], folded["accept-encoding"]) == ("Bearer secret", "identity")
            assert folded["user-agent"].startswith("treasury-watcher/")


async def test_a_failure_is_told_once_and_then_a_recovery(chain: ToyChain, bells: Bells) -> None:
    async with ToyEsplora(chain) as server, connected(server.url, bells, asking=OFTEN) as source:
        server.answer("*", status=502, text=HTML)
        await bells.until(lambda: bells.count("disconnected") > 0)
        with pytest.raises(Unavailable, match="not connected"):
            await source.tip()
        health = source.health()
        assert (health.up, health.last_reason) == (False, "unavailable")
        server.bends.clear()
        await bells.until(lambda: bells.count("connected") > 1)
        assert (await source.tip()).block == chain.tip
        assert source.health().up


async def test_a_server_told_to_wait_for_is_not_greeted_meanwhile(chain: ToyChain, bells: Bells) -> None:
    async with ToyEsplora(chain) as server, connected(server.url, bells, asking=OFTEN):
        server.answer("*", status=429, headers={"retry-after": "1"})
        await bells.until(lambda: bells.count("disconnected") > 0)
        asked = server.asked
        server.bends.clear()
        await bells.until(lambda: bells.count("connected") > 1)
        assert server.counts["block-height/0"] == 0
        assert server.counts["block-height/*"] == 3  # twice the first block, once the second
        assert bells.count("disconnected") == 1
        assert server.asked > asked


async def test_nobody_listens(bells: Bells) -> None:
    async with connected("http://127.0.0.1:1/api", bells, up=False) as source:
        await bells.until(lambda: bells.count("disconnected") > 1)
        assert isinstance(bells.ends[0], Unavailable)
        assert not source.health().up


async def test_what_is_no_explorer_is_unavailable(chain: ToyChain, bells: Bells) -> None:
    async with ToyEsplora(chain) as server:
        async with connected(f"{server.url}/elsewhere", bells, up=False):
            await bells.until(lambda: bells.count("disconnected") > 0)
        assert isinstance(bells.ends[0], Unavailable)


async def test_an_index_without_the_first_block_is_not_believed(chain: ToyChain, bells: Bells) -> None:
    async with ToyEsplora(chain) as server:
        nothing = {"chain_stats": {"tx_count": 0}, "mempool_stats": {"tx_count": 0}}
        server.answer(COUNTS, text=json.dumps(nothing), content_type="application/json")
        async with connected(server.url, bells, up=False):
            await bells.until(lambda: bells.count("disconnected") > 0)
        assert "index" in str(bells.ends[0])


async def test_one_that_fails_does_not_spoil_the_others(setting: Setting) -> None:
    nowhere = Txid("ab" * 32)
    told = await setting.source.transactions([setting.paid, nowhere])
    assert [isinstance(told[txid], SourceError) for txid in (setting.paid, nowhere)] == [False, True]
    assert isinstance(told[nowhere], NotThere)
