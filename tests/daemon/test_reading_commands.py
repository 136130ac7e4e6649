"""What commands tell of a watch: the same by the daemon's word and, when it is gone, from the ledger."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pty
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.daemon.places import ALPHA, BETA, Place, address, events_are, fresh
from tests.stack.processes import until
from tests.stack.receiver import Receiver, status
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.bitcoin.types import Outpoint
from watcher.ledger.opening import path_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stack.daemon import Daemon, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[2]
READING = [
    ["history", "alpha"],
    ["history", "alpha", "--format", "csv"],
    ["history", "alpha", "--format", "json"],
    ["history", "beta", "--format", "csv", "--since", "2030-01-01"],
    ["events"],
    ["events", "--format", "json"],
    ["deliveries"],
    ["deliveries", "--json", "--state", "delivered"],
    ["deliveries", "--state", "dead"],
]


@dataclass(frozen=True, slots=True)
class Watched:
    """A daemon that has seen a baseline, an inflow, an outflow and a pending inflow of alpha."""

    daemon: Daemon
    told: dict[str, Outcome]
    alone: Daemon  # never started, with a copy of the ledger as it was when `told` was


@asynccontextmanager
async def moved(folder: Path) -> AsyncIterator[Daemon]:
    chain = ToyChain()
    before = chain.pay(ALPHA, 500_000_000)
    chain.mine()
    async with ToyElectrum(chain) as toy, Receiver() as receiver:
        place = Place(folder, {"home": toy.url}, receiver.url)
        async with place.daemon() as daemon:
            await fresh(daemon)
            await events_are(daemon, 2)
            chain.pay(ALPHA, 20_000_000)
            await events_are(daemon, 3)
            chain.mine()
            await events_are(daemon, 4)
            chain.spend([Outpoint(before, 0)], [(BETA, 100_000_000), (ALPHA, 399_000_000)])
            await events_are(daemon, 6)
            chain.mine()
            await events_are(daemon, 8)

            async def is_outbox(pending: int, dead: int) -> bool:
                (ops,) = (await daemon.get("/api/v1/status")).json()["outbox"]
                return (ops["pending"], ops["dead"]) == (pending, dead)

            # what was told so far has to have arrived: else the refusal would meet that too
            await until(lambda: is_outbox(0, 0), within=60, what="all of it delivered")
            receiver.answer = status(410)
            chain.pay(ALPHA, 7_000)
            await events_are(daemon, 10)  # the payment, and that its message was refused
            await until(lambda: is_outbox(0, 1), within=60, what="a dead letter and nothing else")
            yield daemon


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    async with moved(folder / "first") as daemon:
        told = {" ".join(words): await daemon.command(*words) for words in (*READING, ["status", "--json"])}
        alone = Place(folder / "alone", {"home": "tcp://127.0.0.1:9"}).daemon()
        (folder / "alone" / "state").mkdir()
        with closing(sqlite3.connect(path_in(folder / "first" / "state"))) as connection:
            connection.execute("VACUUM INTO ?", (str(path_in(folder / "alone" / "state")),))
        yield Watched(daemon, told, alone)


def rows(outcome: Outcome) -> list[dict[str, str]]:
    return list(csv.DictReader(outcome.out.splitlines()))


async def test_history_as_csv_adds_up(watched: Watched) -> None:
    told = watched.told["history alpha --format csv"]
    assert (told.code, told.err) == (0, "")
    found = rows(told)
    assert [(row["kind"], row["flow"], row["amount_sats"], row["balance_sats"]) for row in found] == [
        ("transaction", "inflow", "500000000", "500000000"),
        ("baseline", "", "0", "500000000"),
        ("transaction", "inflow", "20000000", "520000000"),
        ("transaction", "outflow", "-101000000", "419000000"),
        ("transaction", "inflow", "7000", "419000000"),
    ]
    assert found[-1]["height"] == ""
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["block_time_utc"]) for row in found[:-1])


async def test_history_as_json_is_one_array_of_the_same_columns(watched: Watched) -> None:
    found = json.loads(watched.told["history alpha --format json"].out)
    columns = rows(watched.told["history alpha --format csv"])
    assert [row["amount_sats"] for row in found] == [int(row["amount_sats"]) for row in columns]
    assert list(found[0]) == list(columns[0])


async def test_history_as_a_table_has_a_line_for_each_row(watched: Watched) -> None:
    title, *lines = watched.told["history alpha"].out.splitlines()
    assert " ".join(title.split()) == "BLOCK TIME HEIGHT KIND FLOW AMOUNT BTC BALANCE BTC TRUST TXID"
    assert len(lines) == 5
    assert "-1.01000000" in lines[3]
    assert lines[4].split()[0] == "unconfirmed"


async def test_history_is_cut_by_day_and_instant(watched: Watched) -> None:
    found = rows(watched.told["history alpha --format csv"])
    third = found[2]["block_time_utc"]
    since = rows(await watched.daemon.command("history", "alpha", "--format", "csv", "--since", third))
    until_then = rows(await watched.daemon.command("history", "alpha", "--format", "csv", "--until", third))
    assert since == found[2:]
    assert until_then == found[:3]
    assert watched.told["history beta --format csv --since 2030-01-01"].out.count("\r\n") <= 2


@pytest.mark.parametrize("since", ["yesterday", "2026-02-30", "2026-11-24T10:00:00+01:00", ""])
async def test_a_time_that_is_none_is_a_usage_error(watched: Watched, since: str) -> None:
    done = await watched.daemon.command("history", "alpha", "--since", since)
    assert (done.code, done.out) == (2, "")
    assert "--since" in done.err


async def test_a_span_that_ends_before_it_begins_is_a_usage_error(watched: Watched) -> None:
    span = ("--since", "2026-11-25", "--until", "2026-11-24")
    done = await watched.daemon.command("history", "alpha", *span)
    assert (done.code, done.out) == (2, "")
    assert "--until: it is before --since" in done.err


async def test_a_treasury_that_is_not_on_record_is_a_usage_error_with_the_nearest(watched: Watched) -> None:
    for form in ("table", "csv", "json"):
        done = await watched.daemon.command("history", "alfa", "--format", form)
        assert (done.code, done.out) == (2, "")
        assert done.err == "watcher: no treasury 'alfa' on record; did you mean \"alpha\"?\n"


async def test_events_are_the_log_of_the_api(watched: Watched) -> None:
    told = watched.told["events --format json"]
    events = [json.loads(line) for line in told.out.splitlines()]
    assert events == await watched.daemon.events()
    table = watched.told["events"].out.splitlines()
    assert [line.split()[2] for line in table] == [event["type"] for event in events]


async def test_events_go_on_behind_a_cursor(watched: Watched) -> None:
    events = await watched.daemon.events()
    log = events[0]["data"]["log"]
    done = await watched.daemon.command("events", "--format", "json", "--after", f"{log}:3")
    assert [json.loads(line) for line in done.out.splitlines()] == events[3:]
    end = await watched.daemon.command("events", "--after", f"{log}:{len(events)}")
    assert (end.code, end.out) == (0, "")


@pytest.mark.parametrize(("cursor", "code"), [("7", 2), ("{log}:x", 2), ("{log}:9999", 2), ("other:1", 1)])
async def test_a_cursor_that_leads_nowhere_is_refused(watched: Watched, cursor: str, code: int) -> None:
    log = (await watched.daemon.events())[0]["data"]["log"]
    done = await watched.daemon.command("events", "--after", cursor.format(log=log))
    assert (done.code, done.out) == (code, "")
    assert done.err.count("\n") == 1
    assert "cursor" in done.err


async def test_what_is_watched_already_is_not_suggested_again(watched: Watched) -> None:
    (outflow,) = [
        event["data"]
        for event in await watched.daemon.events()
        if (event["type"], event["data"].get("flow")) == ("tx.seen", "outflow")
    ]
    for daemon in (watched.daemon, watched.alone):
        done = await daemon.command("suggest", outflow["incident"])
        assert (done.code, done.err) == (0, "")
        assert f"# {address(BETA)} is watched already, in beta" in done.out
        assert "[[treasuries.watch]]" not in done.out
    unknown = await watched.daemon.command("suggest", "inc_0")
    assert (unknown.code, unknown.err) == (1, "watcher: no outflow of incident 'inc_0' is on record\n")


async def test_deliveries_are_told_by_state(watched: Watched) -> None:
    dead = watched.told["deliveries --state dead"].out.splitlines()
    assert dead
    assert all(" dead " in line for line in dead)
    delivered = [
        json.loads(line) for line in watched.told["deliveries --json --state delivered"].out.splitlines()
    ]
    assert {row["state"] for row in delivered} == {"delivered"}
    assert len(watched.told["deliveries"].out.splitlines()) == len(delivered) + len(dead)


async def test_status_names_what_runs_and_what_is_dead(watched: Watched) -> None:
    done = await watched.daemon.command("status")
    assert (done.code, done.err) == (0, "")
    assert "treasury-watcher on regtest" in done.out.splitlines()[0]
    assert "Active: running since 20" in done.out
    assert "alpha: 4.19000000 BTC, 0.00007000 pending, fresh, 1 script" in done.out
    assert "home: up since 20" in done.out
    assert "ToyElectrum" in done.out
    assert re.search(r"ops: \d+ pending, [1-9]\d* dead", done.out)
    assert "\x1b" not in done.out
    checked = await watched.daemon.command("status", "--check")
    assert (checked.code, checked.out.splitlines()[0]) == (1, done.out.splitlines()[0])


async def test_status_as_json_is_one_object_and_checks_too(watched: Watched) -> None:
    done = await watched.daemon.command("status", "--json", "--check")
    found: dict[str, Any] = json.loads(done.out)
    assert done.code == 1
    assert (found["running"], found["network"], found["fresh"]) == (True, "regtest", True)
    assert {row["name"] for row in found["treasuries"]} == {"alpha", "beta"}


def command(daemon: Daemon) -> list[str]:
    return [sys.executable, "-m", "watcher", "--config", str(daemon.path)]


def on_a_terminal(daemon: Daemon, **more: str) -> str:
    """What `status` writes when its output is a terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as seen:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}
        # less than a terminal holds back, so that it need not be read meanwhile
        subprocess.run(
            [*command(daemon), "status"],
            stdout=theirs,
            stdin=theirs,
            env=environment,
            cwd=ROOT,
            timeout=60,
            check=True,
        )
        os.close(theirs)
        text = b""
        while chunk := read_or_end(seen.fileno()):
            text += chunk
    return text.decode()


def read_or_end(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # Linux says EIO when the other side is closed
        return b""


async def test_colour_is_for_terminals_and_for_those_who_want_it(watched: Watched) -> None:
    assert "\x1b[" in await asyncio.to_thread(on_a_terminal, watched.daemon, NO_COLOR="")
    assert "\x1b[" not in await asyncio.to_thread(on_a_terminal, watched.daemon, NO_COLOR="1")


async def test_redeliver_makes_due_again_and_says_how_many(watched: Watched) -> None:
    delivered = [
        json.loads(line) for line in (await watched.daemon.command("deliveries", "--json")).out.splitlines()
    ]
    one = await watched.daemon.command("redeliver", str(delivered[-1]["id"]))
    assert (one.code, one.out, one.err) == (0, "1 due now\n", "")
    unknown = await watched.daemon.command("redeliver", "999999")
    assert (unknown.code, unknown.err) == (1, "watcher: no delivery of this id\n")
    nobody = await watched.daemon.command("redeliver", "--endpoint", "opps", "--since", "0")
    assert (nobody.code, nobody.err) == (2, 'watcher: no endpoint of this name; did you mean "ops"?\n')


@pytest.mark.parametrize(
    "words", [[], ["1", "--since", "2"], ["--endpoint", "ops"], ["0"], ["-1"], ["9" * 30], ["x"]], ids=str
)
async def test_redeliver_wants_to_know_what(watched: Watched, words: list[str]) -> None:
    done = await watched.daemon.command("redeliver", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("watcher: redeliver: ")
    assert done.err.count("\n") == 1


async def test_verify_reads_beside_the_daemon(watched: Watched) -> None:
    done = await watched.daemon.command("verify")
    assert (done.code, done.err) == (0, "")
    assert "3 transactions proven, 1 not yet proven" in done.out
    assert "What this cannot prove:" in done.out


def cut_short(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """`watcher events`, of which the reader takes one byte; the last line is its exit code."""
    words = shlex.join([*command(daemon), "events"])
    return subprocess.run(
        ["bash", "-c", f"{words} | head -c 1; echo; echo ${{PIPESTATUS[0]}}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_reader_who_has_seen_enough_is_no_error(watched: Watched) -> None:
    done = await asyncio.to_thread(cut_short, watched.daemon)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


async def test_without_a_daemon_the_ledger_tells_the_same(watched: Watched) -> None:
    for words in READING:
        assert await watched.alone.command(*words) == watched.told[" ".join(words)], words
    done = await watched.alone.command("status", "--json", "--check")
    found, running = json.loads(done.out), json.loads(watched.told["status --json"].out)
    assert done.code == 1
    assert (found["running"], found["fresh"]) == (False, False)
    same = ("log", "sequence", "tip", "network", "outbox")
    assert [found[key] for key in same] == [running[key] for key in same]


async def test_without_a_daemon_status_says_so(watched: Watched) -> None:
    page = await watched.alone.command("status")
    assert page.code == 0
    assert "no daemon runs" in page.out
    assert "4.19000000 BTC" in page.out
    assert (await watched.alone.command("status", "--check")).code == 1


async def test_without_a_daemon_what_writes_is_refused_and_wrong_stays_wrong(
    watched: Watched,
) -> None:
    nobody = await watched.alone.command("redeliver", "1")
    assert (nobody.code, nobody.err) == (1, "watcher: no daemon runs\n")
    unknown = await watched.alone.command("history", "alfa")
    assert (unknown.code, unknown.out) == (2, "")
    log = json.loads(watched.told["status --json"].out)["log"]
    for cursor, code in ((f"{log}:9999", 2), ("other:1", 1)):
        assert (await watched.alone.command("events", "--after", cursor)).code == code
    assert (await watched.alone.command("verify")).code == 0
