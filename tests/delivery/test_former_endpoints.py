"""Endpoints that a new config leaves out, or leads elsewhere: they get what they are owed and hear of it."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp import web

from tests.daemon.nest import Nest
from tests.daemon.places import ALPHA, Place, fresh
from tests.stack.processes import until
from tests.stack.receiver import SECRET, Receiver, status
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.app.kept import Kept, succeed
from watcher.app.reach import Reach
from watcher.ledger.opening import LedgerUnusableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.stack.daemon import Daemon

OTHER_SECRET: Final = "whsec_" + base64.b64encode(b"another one, since it is exchanged").decode()
PATH_TOKEN: Final = "c0ffee-not-for-others"


@pytest.fixture(scope="module")
def nest() -> Iterator[Nest]:
    with Nest() as open_nest:
        yield open_nest


class Stand:
    """A daemon on a toy chain, and two receivers: the endpoint `ops` leads to the one or the other."""

    def __init__(self, nest: Nest, folder: Path, toy: ToyElectrum, old: Receiver, new: Receiver) -> None:
        self.toy = toy
        self.old = old
        self.new = new
        self.state = folder / "state"
        self._place = Place(folder, {"home": toy.url}, f"{old.url}/{PATH_TOKEN}")
        self._first = self._place.config()
        (folder / "ops.secret").write_text(SECRET)
        self.daemon: Daemon = nest.daemon(self._first, folder)

    def renamed(self) -> str:
        """The config with another endpoint, at another place, instead of `ops`."""
        return self.redirected().replace('"ops"', '"desk"')

    def redirected(self) -> str:
        """The config in which `ops` leads to the new place."""
        return self._first.replace(f"{self.old.url}/{PATH_TOKEN}", self.new.url)

    async def pay(self) -> str:
        """Pay the first treasury, and wait until the log has it."""
        txid = self.toy.chain.pay(ALPHA, 50_000)

        async def logged() -> bool:
            return any(e["data"].get("txid") == txid for e in await self.daemon.events())

        await until(logged, within=60, what="the payment in the log")
        return txid

    async def take(self, config: str, *, restart: bool) -> None:
        """Put a config in force, by a reload or while the daemon does not run."""
        self.daemon.config = config
        if restart:
            self.daemon.kill()
            await self.daemon.start()
        else:
            self.daemon.write_config()
            outcome = await self.daemon.command("reload", "--reason", "moved", "--by", "ana")
            assert outcome.code == 0, outcome

    async def deliveries(self, endpoint: str, state: str) -> list[dict[str, Any]]:
        """Those of the endpoint in this state."""
        found = await self.daemon.get(f"/api/v1/deliveries?state={state}&limit=1000")
        return [each for each in found.json()["deliveries"] if each["endpoint"] == endpoint]

    async def pushed(self, endpoint: str) -> None:
        """Until nothing waits for the endpoint; what waits for a later attempt is asked for now."""

        async def nothing_waits() -> bool:
            waiting = await self.deliveries(endpoint, "pending")
            for each in waiting:
                await self.daemon.command("redeliver", str(each["id"]))
            return not waiting

        await until(nothing_waits, within=120, what=f"nothing pending for {endpoint}")

    def kept(self) -> set[str]:
        """The names in the file."""
        return set(json.loads((self.state / "endpoints").read_bytes()))

    async def kept_is(self, *names: str) -> None:
        async def so() -> bool:
            return self.kept() == set(names)

        await until(so, within=60, what=f"{names} in the file")


@pytest.fixture
async def stand(nest: Nest, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        toy = await stack.enter_async_context(ToyElectrum(ToyChain()))
        old, new = [await stack.enter_async_context(Receiver()) for _ in range(2)]
        made = Stand(nest, tmp_path, toy, old, new)
        stack.callback(made.daemon.kill)
        await made.daemon.start()
        await fresh(made.daemon)
        yield made


def changes(receiver: Receiver) -> list[dict[str, Any]]:
    """The `config.changed` that came, each once."""
    found = {one.id: one.data for one in receiver.verified if one.type == "config.changed"}
    return list(found.values())


def payments(receiver: Receiver) -> set[str]:
    """The transactions told of."""
    return {one.data["txid"] for one in receiver.verified if one.type == "tx.seen"}


@pytest.mark.parametrize("restart", [False, True], ids=["reload", "restart"])
async def test_a_removed_endpoint_gets_what_it_is_owed_and_hears_of_its_removal(
    stand: Stand, *, restart: bool
) -> None:
    stand.old.answer = status(503)
    before = await stand.pay()
    await stand.old.wait_for(lambda one: one.data.get("txid") == before)
    assert stand.kept() == {"ops"}
    await stand.take(stand.renamed(), restart=restart)
    await stand.old.wait_for(lambda one: one.type == "config.changed")
    assert stand.kept() == {"ops", "desk"}
    stand.daemon.kill()  # what is owed outlives the process, though the config knows nothing of `ops`
    await stand.daemon.start()
    stand.old.answer = status(204)
    after = await stand.pay()
    await stand.pushed("ops")
    await stand.kept_is("desk")
    await stand.new.wait_for(lambda one: one.data.get("txid") == after)
    (told,) = changes(stand.old)
    assert told["severity"] == "critical"
    assert {"what": "endpoint", "name": "ops", "change": "removed"} in told["difference"]
    assert "not_reached" not in told
    assert before in payments(stand.old)
    assert after not in payments(stand.old)
    assert before not in payments(stand.new)
    assert await stand.deliveries("ops", "dead") == []


@pytest.mark.parametrize("way", ["reload", "restart", "crash"])
async def test_an_endpoint_that_is_led_elsewhere_is_told_where_it_was(stand: Stand, way: str) -> None:
    stand.old.answer = status(503)
    if way == "crash":  # between the file and the ledger
        stand.daemon.kill()
        kept = Kept(stand.state)
        assert kept.reaches is not None
        moved = replace(kept.reaches["ops"], urls=(stand.new.url,))
        kept.keep(succeed(kept.reaches, {"ops": moved}, 1).reaches)
    await stand.take(stand.redirected(), restart=way != "reload")
    await stand.old.wait_for(lambda one: one.type == "config.changed")
    former, name = sorted(stand.kept(), reverse=True)
    assert (former.startswith("ops.before."), name) == (True, "ops")
    stand.old.answer = status(204)
    await stand.pushed(former)
    await stand.kept_is("ops")
    (told,) = changes(stand.old)
    assert told["severity"] == "critical"
    assert told["difference"] == [{"what": "endpoint", "name": "ops", "change": "moved"}]
    await stand.new.wait_for(lambda one: one.type == "config.changed")


async def ended(stand: Stand) -> None:
    """The endpoint `ops` has said 410."""
    stand.old.answer = status(410)
    await stand.pay()

    async def dead() -> bool:
        return bool(await stand.deliveries("ops", "dead"))

    await until(dead, within=60, what="a delivery that is dead")


async def settled(stand: Stand) -> None:
    """Nothing waits for `ops` any more."""

    async def nothing() -> bool:
        return not await stand.deliveries("ops", "pending")

    await until(nothing, within=60, what="nothing pending")


@pytest.mark.parametrize("restart", [False, True], ids=["reload", "restart"])
async def test_where_it_is_led_now_nobody_has_said_410(stand: Stand, *, restart: bool) -> None:
    await ended(stand)
    await stand.take(stand.redirected(), restart=restart)
    txid = await stand.pay()
    await settled(stand)
    assert txid in payments(stand.new)


async def test_a_410_that_comes_from_where_it_was_led_says_nothing_of_where_it_is(stand: Stand) -> None:
    """Asked before the reload, answered while the senders are exchanged."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def late(_: web.Request) -> web.StreamResponse:
        asked.set()
        await answered.wait()
        return web.Response(status=410)

    stand.old.answer = late
    on_its_way = await stand.pay()
    await asked.wait()
    moving = asyncio.create_task(stand.take(stand.redirected(), restart=False))
    await asyncio.sleep(1)
    answered.set()
    await moving
    later = await stand.pay()
    await settled(stand)
    assert later in payments(stand.new)
    assert on_its_way in [*payments(stand.new), *payments(stand.old)]


async def test_one_that_was_removed_and_is_back_is_tried_again_after_a_410(stand: Stand) -> None:
    first = stand.daemon.config
    await ended(stand)
    await stand.take(stand.renamed(), restart=False)
    stand.old.answer = status(200)
    await stand.kept_is("desk")
    await stand.take(first, restart=False)
    txid = await stand.pay()
    await settled(stand)
    assert txid in payments(stand.old)


async def test_a_secret_exchanged_is_no_new_place(stand: Stand) -> None:
    (stand.state.parent / "ops.secret").write_text(OTHER_SECRET)
    stand.old.secret = OTHER_SECRET
    await stand.take(stand.daemon.config, restart=False)
    txid = await stand.pay()
    await stand.old.wait_for(lambda one: one.data.get("txid") == txid)
    assert changes(stand.old) == []


async def test_where_the_file_is_lost_the_new_endpoints_are_told_that_the_old_were_not(
    stand: Stand,
) -> None:
    stand.old.answer = status(503)
    txid = await stand.pay()
    await stand.old.wait_for(lambda one: one.data.get("txid") == txid)
    stand.daemon.kill()
    # what the killed one had sent, and was not taken yet, goes with its connections
    await stand.old.stop()
    await stand.old.start()
    heard = len(stand.old.received)
    (stand.state / "endpoints").unlink()
    stand.daemon.config = stand.renamed()
    await stand.daemon.start()
    told = await stand.new.wait_for(lambda one: one.type == "config.changed")
    assert told.data["severity"] == "critical"
    assert told.data["not_reached"] == ["ops"]

    async def given_up() -> bool:
        return not await stand.deliveries("ops", "pending")

    await until(given_up, within=60, what="what was owed to ops given up")
    assert {each["reason"] for each in await stand.deliveries("ops", "dead")} == {"unreachable"}
    assert len(stand.old.received) == heard
    assert stand.kept() == {"desk"}


async def test_only_its_owner_reads_the_file_and_nobody_else_is_shown_it(
    stand: Stand, tmp_path: Path
) -> None:
    kept = stand.state / "endpoints"
    assert kept.stat().st_mode & 0o777 == 0o600
    content = kept.read_text()
    assert PATH_TOKEN in content
    assert SECRET in content
    copied = await stand.daemon.command("backup", str(tmp_path / "copy"))
    assert copied.code == 0, copied
    outside = b"".join(file.read_bytes() for file in (tmp_path / "copy").iterdir())
    ledger = b"".join(file.read_bytes() for file in stand.state.glob("ledger*"))
    for path in ("/metrics", "/api/v1/deliveries", "/api/v1/events", "/api/v1/sources", "/"):
        outside += (await stand.daemon.get(path)).body
    outside += (await stand.daemon.command("status", "--json")).out.encode()
    outside += stand.daemon.child.log.read_bytes()
    for hidden in (PATH_TOKEN, SECRET.removeprefix("whsec_")):
        assert hidden.encode() not in outside
        assert hidden.encode() not in ledger


def reach(url: str, secret: str = SECRET) -> Reach:
    return Reach("webhook", (url,), secret, None, False, "en", (("x-tenant", "7"),), {})


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    reaches = {
        "ops": reach("https://a/"),
        "mail": replace(reach("smtps://b"), options={"to": ("x@y", "z@y")}),
    }
    Kept(tmp_path).keep(reaches)
    assert Kept(tmp_path).reaches == reaches


@pytest.mark.parametrize("content", [b"", b"{", b'{"ops": {"kind": "pigeon"}}', b"[]", b"\xff"])
def test_what_cannot_be_read_is_lost_and_its_content_not_logged(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "endpoints").write_bytes(content)
    assert Kept(tmp_path).reaches is None
    assert "cannot be used" in caplog.text
    assert "pigeon" not in caplog.text


def test_what_may_not_be_read_is_not_taken_for_lost(tmp_path: Path) -> None:
    (tmp_path / "endpoints").mkdir()
    with pytest.raises(LedgerUnusableError, match=r"endpoints cannot be read: Is a directory"):
        Kept(tmp_path)


def test_where_the_disk_refuses_the_old_file_stays_and_the_new_one_is_written_later(tmp_path: Path) -> None:
    old, new = {"ops": reach("https://a/")}, {"ops": reach("https://b/")}
    kept = Kept(tmp_path)
    kept.keep(old)
    (tmp_path / "endpoints.partial").mkdir()
    kept.keep(new)
    assert kept.reaches == new
    assert Kept(tmp_path).reaches == old
    (tmp_path / "endpoints.partial").rmdir()
    kept.keep(new)
    assert Kept(tmp_path).reaches == new


def test_places_that_were_left_one_after_the_other_are_all_kept() -> None:
    a, b, c = (reach(f"https://{name}/") for name in "abc")
    first = succeed({"ops": a}, {"ops": b}, 1)
    second = succeed(first.reaches, {"ops": c}, 2)
    assert second.reaches == {"ops": c, "ops.before.1": a, "ops.before.2": b}
    assert succeed({"ops": a}, {"ops": replace(a, secret="other", lang="es")}, 3).reaches.keys() == {"ops"}
