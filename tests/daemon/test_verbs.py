"""What an operator asks of a running daemon: tests, rehearsals, pauses, notes, announcements."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.daemon.places import ALPHA, Place, address, fresh
from tests.stack.processes import until
from tests.stack.receiver import Receiver, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

FRIEND = b"\x00\x14" + bytes(range(40, 60))
STRANGER = b"\x00\x14" + bytes(range(60, 80))


def second(receiver: Receiver) -> str:
    """An endpoint beside `ops`, at another path of the same receiver, and rules of its own."""
    return f"""
[[endpoints]]
name = "chat"
kind = "webhook"
url = "{receiver.url}2"
secret_file = "ops.secret"
allow_private = true

[[rules]]
name = "theft"
on = ["outflow"]
at = ["confirmed", 3]
severity = "critical"
send_to = ["chat"]

[[rules]]
name = "old"
on = ["dormant", "first_spend"]
dormant_days = 36500
severity = "critical"
send_to = ["chat"]
"""


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as one:
        yield one


def place(toy: ToyElectrum, folder: Path, receiver: Receiver) -> Daemon:
    here = Place(folder, {"home": toy.url}, receiver.url)
    return here.daemon(here.config(extra=second(receiver)))


async def settled(daemon: Daemon, receiver: Receiver) -> None:
    """Until everything was read, and what was told of it has arrived."""
    await fresh(daemon)
    await receiver.wait_for(lambda one: one.data.get("treasury") == "alpha")
    await receiver.wait_for(lambda one: one.data.get("treasury") == "beta")


async def active(daemon: Daemon, value: int) -> None:
    """Until the metric has it that alerts do not reach an endpoint, or that they do."""

    async def is_so() -> bool:
        return await daemon.metric("watcher_condition_active", condition="endpoint") == value

    await until(is_so, within=60, what=f"the condition at {value}")


async def test_an_endpoint_is_tested_through_the_whole_outbox(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        fine = await daemon.command("endpoints", "test", "ops")
        assert (fine.code, fine.out.split(" ms")[0].rsplit(" ", 1)[0]) == (0, "ops: delivered, 204,")
        told = await receiver.wait_for(lambda one: one.type == "watcher.test")
        assert (told.path, told.data["endpoint"]) == ("/hook", "ops")
        receiver.answer_next(status(500))
        failed = await daemon.command("endpoints", "test", "ops")
        assert (failed.code, failed.out.startswith("ops: status 5xx, 500,")) == (1, True)
        unknown = await daemon.command("endpoints", "test", "nobody")
        assert (unknown.code, unknown.err) == (2, "watcher: no endpoint of this name (known: ops, chat)\n")
        assert {one.path for one in receiver.verified if one.type == "watcher.test"} == {"/hook"}


async def test_a_refused_endpoint_is_told_to_the_others_and_tried_again_by_a_test(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        receiver.answer_next(status(410))
        gone = await daemon.command("endpoints", "test", "ops")
        assert (gone.code, gone.out.startswith("ops: gone, 410")) == (1, True)
        failed = await receiver.wait_for(lambda one: one.type == "endpoint.failed")
        assert (failed.path, failed.data["endpoint"], failed.data["reason"]) == ("/hook2", "ops", "gone")
        await active(daemon, 1)
        assert (await daemon.command("endpoints", "test", "ops")).code == 0
        await active(daemon, 0)
        back = await receiver.wait_for(lambda one: one.type == "endpoint.recovered")
        assert (back.path, back.data["incident"]) == ("/hook2", failed.data["incident"])


async def test_a_pause_holds_deliveries_back_over_a_restart_and_loses_none(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        words = ("--reason", "moving house", "--by", "the operator")
        done = await daemon.command("pause", "ops", "--for", "2h", *words)
        assert (done.code, done.out.startswith("ops: paused until 20")) == (0, True)
        until_when = done.out.strip().rpartition(" ")[2]
        assert f"paused until {until_when}" in (await daemon.command("status")).out
        told = await receiver.wait_for(lambda one: one.type == "endpoint.paused")
        assert (told.path, told.data["endpoint"], told.data["by"]) == ("/hook2", "ops", "the operator")
        toy.chain.pay(ALPHA, 60_000)
        toy.chain.mine()
        await daemon.restart()

        async def waits() -> bool:
            return "tx.confirmed" in (await daemon.command("deliveries", "--state", "pending")).out

        await until(waits, within=60, what="a delivery that waits")
        tested = await daemon.command("endpoints", "test", "ops")
        assert (tested.code, tested.out.startswith("ops: paused, until 20")) == (1, True)
        assert not any(one.type.startswith("tx.") for one in receiver.verified)
        ended = await daemon.command("pause", "ops", "--for", "0s", *words)
        assert (ended.code, ended.out) == (0, "ops: not paused\n")
        assert "paused" not in (await daemon.command("status")).out
        await receiver.wait_for(lambda one: one.path == "/hook" and one.type.startswith("tx."))
        assert (await daemon.command("pause", "nobody", "--for", "1h", *words)).code == 2
        assert (await daemon.command("pause", "ops", "--for", "soon", *words)).code == 2


async def test_an_announced_outflow_is_told_quietly_and_marked_and_another_is_not(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    for _ in range(3):
        toy.chain.pay(ALPHA, 1_000_000)
        toy.chain.mine()
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        (tmp_path / "friends.csv").write_text(f"label,address\nfriend,{address(FRIEND)}\n")
        said = await daemon.command(
            "expect", "alpha", "--to", str(tmp_path / "friends.csv"), "--max-btc", "0.015",
            "--until", "2100-01-01", "--reason", "new wallet", "--by", "the board",
        )  # fmt: skip
        assert said.code == 0, said.err
        told = await receiver.wait_for(lambda one: one.path == "/hook2" and one.type == "movement.expected")
        assert (told.data["to"], told.data["severity"]) == ([address(FRIEND)], "critical")

        async def spent(to: bytes) -> dict[str, object]:
            coin = next(iter(toy.chain.unspent(ALPHA)))
            txid = toy.chain.spend([coin], [(to, 990_000)])
            toy.chain.mine()
            found = await receiver.wait_for(lambda one: one.path == "/hook2" and one.data.get("txid") == txid)
            return found.data

        first = await spent(FRIEND)
        assert (first["severity"], first["expected"], first["rules"]) == ("info", True, ["old", "theft"])
        assert first["first_spend"] is True
        second_one = await spent(FRIEND)  # more than was announced in all
        assert (second_one["severity"], second_one.get("expected")) == ("critical", None)
        assert second_one["rules"] == ["theft"]
        stranger = await spent(STRANGER)
        assert (stranger["severity"], stranger.get("expected")) == ("critical", None)
        (tmp_path / "wrong").write_text("address\n\n1BoatSLRHtKNngkdXEeobR76b53LETtpyX\n")
        wrong = await daemon.command(
            "expect", "alpha", "--to", str(tmp_path / "wrong"), "--max-btc", "1", "--until", "2100-01-01",
            "--reason", "r", "--by", "w",
        )  # fmt: skip
        assert (wrong.code, f"--to: {tmp_path}/wrong:3: " in wrong.err) == (2, True)
        late = await daemon.command(
            "expect", "alpha", "--to", str(tmp_path / "friends.csv"), "--max-btc", "1",
            "--until", "2020-01-31", "--reason", "r", "--by", "w",
        )  # fmt: skip
        assert late.code == 2
        assert late.err.endswith("until: 2020-01-31T23:59:59.000Z is in the past\n")


async def test_a_note_goes_to_whoever_was_told_of_the_incident(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        toy.chain.pay(ALPHA, 60_000)
        toy.chain.mine()
        inflow = await receiver.wait_for(lambda one: one.data.get("flow") == "inflow")
        done = await daemon.command("note", inflow.data["incident"], "rent", "--by", "somebody")
        assert (done.code, done.out.startswith("noted: evt_")) == (0, True), done.err
        noted = await receiver.wait_for(lambda one: one.type == "incident.noted")
        assert (noted.data["text"], noted.data["by"], noted.data["treasury"]) == ("rent", "somebody", "alpha")
        unknown = await daemon.command("note", "inc_" + "0" * 32, "rent", "--by", "somebody")
        assert (unknown.code, "no event of this incident" in unknown.err) == (1, True)
        assert (await daemon.command("endpoints", "test", "chat")).code == 0  # what was before it has arrived
        assert [one.path for one in receiver.verified if one.type == "incident.noted"] == ["/hook"]


async def test_rules_are_rehearsed_without_a_trace_and_sent_only_when_asked(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    words = ("rules", "test", "alpha", "--flow", "outflow", "--btc", "0.5", "--to", address(FRIEND))
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        before = await daemon.events()
        said = await daemon.command(*words)
        assert said.code == 0, said.err
        headings = [line for line in said.out.splitlines() if line.startswith("tx.")]
        assert headings == [
            "tx.seen at seen: ops (webhook), warning, by everything",
            "tx.confirmed at confirmed: chat (webhook), critical, by theft",
            "tx.confirmed at 3: chat (webhook), critical, by theft",
            "tx.final at final: ops (webhook), warning, by everything",
        ]
        assert address(FRIEND) in said.out
        old = await daemon.command(*words, "--at", "seen", "--dormant-days", "36500")
        assert "tx.seen at seen: chat (webhook), critical, by old" in old.out
        assert await daemon.events() == before
        sent = await daemon.command(*words, "--at", "confirmed", "--send")
        assert sent.code == 0, sent.err
        test = await receiver.wait_for(lambda one: one.type == "watcher.test")
        assert (test.path, test.data["sample"]["rules"]) == ("/hook2", ["theft"])
        nobody = await daemon.command("rules", "test", "beta", "--flow", "inflow", "--btc", "0.00000001")
        assert (nobody.code, nobody.out) == (1, "no rule speaks of it\n")
        assert (await daemon.command("rules", "test", "alpah", "--flow", "inflow", "--btc", "1")).code == 2
        for option, written in (("--btc", "1e3"), ("--to", "bcrt1"), ("--at", "0"), ("--flow", "out")):
            wrong = await daemon.command(*words, option, written)
            assert (wrong.code, wrong.out, wrong.err.count("\n")) == (2, "", 1), wrong.err
            assert f"Invalid value for {option}:" in wrong.err.replace("'", "")


async def test_the_present_rules_are_replayed_over_what_happened(
    toy: ToyElectrum, tmp_path: Path, receiver: Receiver
) -> None:
    async with place(toy, tmp_path, receiver) as daemon:
        await settled(daemon, receiver)
        toy.chain.pay(ALPHA, 1_000_000)
        toy.chain.mine(2)
        await receiver.wait_for(lambda one: one.data.get("flow") == "inflow")
        toy.chain.spend(toy.chain.unspent(ALPHA), [(FRIEND, 900_000)])
        toy.chain.mine(8)
        await receiver.wait_for(lambda one: one.type == "tx.final" and one.data["flow"] == "outflow")

        async def all_arrived() -> bool:
            outbox = (await daemon.get("/api/v1/status")).json()["outbox"]
            return not any(row["pending"] for row in outbox)

        # each endpoint has a lane of its own, and the other's may be behind
        await until(all_arrived, within=60, what="nothing owed to either endpoint")
        replayed = await daemon.command("rules", "replay", "--since", "2020-01-01", "--json")
        assert replayed.code == 0, replayed.err
        would = {
            (row["endpoint"], row["event"], row["severity"], tuple(row["rules"]))
            for row in map(json.loads, replayed.out.splitlines())
        }
        was = {
            ({"/hook": "ops", "/hook2": "chat"}[one.path], one.data["id"], one.data["severity"],
             tuple(one.data["rules"]))
            for one in receiver.verified
        }  # fmt: skip
        assert would == was
        table = await daemon.command("rules", "replay", "--since", "2020-01-01")
        assert table.out.splitlines()[-1].startswith(f"{len(replayed.out.splitlines())} notices; chat: ")
        later = await daemon.command("rules", "replay", "--since", "2100-01-01")
        assert later.out == "0 notices\n"


async def test_without_a_daemon_the_writing_commands_say_so(toy: ToyElectrum, tmp_path: Path) -> None:
    here = Place(tmp_path, {"home": toy.url})
    daemon = here.daemon()
    (tmp_path / "to").write_text(address(FRIEND))
    who = ("--reason", "r", "--by", "w")
    expect = ("expect", "alpha", "--to", str(tmp_path / "to"), "--max-btc", "1", *who, "--until")
    for words in (
        ("endpoints", "test", "ops"),
        ("pause", "ops", "--for", "1h", *who),
        ("note", "inc_0", "text", "--by", "w"),
        (*expect, "2100-01-01"),
    ):
        done = await daemon.command(*words)
        assert (done.code, done.err) == (1, "watcher: no daemon runs\n"), words
    assert (await daemon.command(*expect, "soon")).code == 2
