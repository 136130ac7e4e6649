"""The installed service under a real systemd: what it promises its operator, and what it cannot do."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.deploy.actors import ELECTRUM, OTHER_LOOPBACK, SATS
from tests.deploy.service import CONFIG, ETC, PYTHON, STATE, UNIT
from tests.stack.receiver import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.container import Container
    from tests.deploy.service import Service

# a booted container is a real part, and tests that share one stay on one worker
pytestmark = [pytest.mark.real, pytest.mark.xdist_group("systemd service")]


@pytest.fixture
def untouched(service: Service) -> Iterator[Service]:
    """The service, for a test that changes its unit or its config and need not put them back."""
    yield service
    service.revert()
    service.caught_up()


def test_it_is_ready_when_it_serves_and_tells_how_far_it_is(service: Service) -> None:
    assert service.state == "active"
    service.inside.wait(
        lambda: service.inside.property(UNIT, "StatusText") == "tip 110, 1 of 1 source up, all scripts read",
        within=120,
        what="the status line",
    )
    assert service.metric("watcher_ledger_writable") == 1
    # the process collector needs /proc/stat, which a tighter sandbox would hide
    assert (service.metric("process_resident_memory_bytes") or 0) > 1_000_000


def test_it_is_ready_without_any_source_and_says_so(untouched: Service) -> None:
    untouched.configure(CONFIG.replace(str(ELECTRUM), "9"))
    untouched.start()
    assert untouched.state == "active"
    untouched.inside.wait(
        lambda: "0 of 1 source up" in untouched.inside.property(UNIT, "StatusText"),
        within=120,
        what="the status line",
    )


def test_a_coin_moves_and_the_receiver_knows_it_by_a_signed_webhook(service: Service) -> None:
    def balance() -> float:
        balance = service.metric("watcher_treasury_balance_satoshis", treasury="alpha", position="confirmed")
        assert balance is not None
        return balance

    before = balance()
    paid = service.direct("pay")
    service.told("tx.seen", paid)  # before there is a block: what is in one was perhaps never seen without
    service.direct("mine")
    service.told("tx.confirmed", paid)
    service.inside.wait(lambda: balance() == before + SATS, within=60, what="the balance on /metrics")


def test_a_good_config_is_reloaded_and_a_bad_one_refused(untouched: Service) -> None:
    pid = untouched.pid
    untouched.configure(CONFIG + '[[rules]]\nname = "more"\non = ["chain"]\nsend_to = ["ops"]\n')
    before = untouched.metric("watcher_config_hash")
    untouched.inside.ok("systemctl", "reload", UNIT)
    untouched.inside.wait(
        lambda: untouched.metric("watcher_config_hash") != before, within=60, what="the new config"
    )
    reloaded = untouched.metric("watcher_config_last_reload_success_timestamp_seconds")
    hashed = untouched.metric("watcher_config_hash")

    untouched.configure(CONFIG.replace('network = "regtest"', 'network = "regtest"\nnetwrok = "regtest"'))
    refused = untouched.inside.run("systemctl", "reload", UNIT)
    assert refused.code != 0
    untouched.inside.wait(
        lambda: "netwrok" in untouched.inside.journal(), within=60, what="the reason in the journal"
    )
    assert (untouched.state, untouched.pid) == ("active", pid)
    untouched.inside.wait(
        lambda: untouched.metric("watcher_config_last_reload_successful") == 0, within=60, what="the metric"
    )
    assert untouched.metric("watcher_config_last_reload_success_timestamp_seconds") == reloaded
    assert untouched.metric("watcher_config_hash") == hashed


def test_a_wrong_config_is_not_tried_again_and_again(untouched: Service) -> None:
    untouched.configure("netwrok = 1")
    started = untouched.inside.run("systemctl", "restart", UNIT)
    assert started.code != 0
    assert untouched.state == "failed"
    assert untouched.inside.property(UNIT, "ExecMainStatus") == "2"
    assert untouched.inside.property(UNIT, "NRestarts") == "0"


def test_the_credentials_are_the_daemons_alone(service: Service) -> None:
    inside, given = service.inside, f"/run/credentials/{UNIT}.service/secret_ops"
    assert inside.ok("cat", given, user=UNIT) == SECRET
    for user in ("alice", "bob"):
        assert inside.run("cat", given, user=user).code != 0
    for user in ("alice", "bob", UNIT):
        assert inside.run("cat", f"{ETC}/credentials/ops", user=user).code != 0
    written = inside.ok("cat", f"/proc/{service.pid}/environ", f"/proc/{service.pid}/cmdline")
    assert SECRET not in written
    assert SECRET not in inside.ok("journalctl", "--no-pager")


def test_an_operator_of_the_group_uses_the_command_line_and_nobody_else_does(service: Service) -> None:
    told = service.command("status", "--json", user="alice")
    assert told.code == 0, told.err
    assert json.loads(told.out)
    assert "baseline" in service.command("history", "alpha", user="alice").out
    assert service.command("check", user="alice").code == 0
    assert service.command("status", user="bob").code != 0


def test_what_hangs_is_aborted_and_started_again(untouched: Service) -> None:
    untouched.drop_in("quick", "[Service]\nWatchdogSec=10s\nRestartSec=100ms\n")
    untouched.start()
    stopped = untouched.pid
    untouched.inside.ok("sh", "-c", f"kill -STOP {stopped}")
    untouched.inside.wait(
        lambda: untouched.pid not in {0, stopped} and untouched.state == "active",
        within=180,
        what="the watchdog to restart it",
    )
    assert untouched.inside.property(UNIT, "NRestarts") == "1"

    def written() -> bool:
        journal = untouched.inside.journal(lines=1_000)
        # and where each thread was
        return "Watchdog timeout" in journal and "Fatal Python error: Aborted" in journal

    untouched.inside.wait(written, within=60, what="the reason in the journal")


def test_who_works_is_not_aborted(untouched: Service) -> None:
    untouched.drop_in("quick", "[Service]\nWatchdogSec=10s\n")  # a busy machine may take seconds for a turn
    untouched.start()
    pid = untouched.pid
    time.sleep(22)
    assert (untouched.state, untouched.pid) == ("active", pid)


def test_killed_it_comes_back_and_has_lost_nothing(service: Service) -> None:
    known = [event["data"]["id"] for event in service.events()]
    paid = []
    for _ in range(3):
        paid.append(service.direct("pay"))
        killed = service.pid
        service.inside.ok("sh", "-c", f"kill -KILL {killed}")
        service.direct("mine")
        service.inside.wait(
            lambda killed=killed: service.pid not in {0, killed} and service.state == "active",
            within=180,
            what="the restart",
        )
    service.told("tx.confirmed", *paid)
    events = service.events()
    assert [event["data"]["id"] for event in events][: len(known)] == known
    assert [event["data"]["sequence"] for event in events] == list(range(1, len(events) + 1))
    told = {e["data"]["id"] for e in events if e["type"] in {"tx.seen", "tx.confirmed"}}
    service.inside.wait(lambda: told <= service.received_ids(), within=120, what="every webhook")
    assert service.command("verify").code == 0


def test_the_sandbox_holds_and_leaves_what_the_daemon_needs(untouched: Service) -> None:
    untouched.inside.ok("install", "-d", "-m", "0777", "/var/open")
    untouched.drop_in(
        "probe", f"[Service]\nEnvironment=PYTHONPATH=/srv\nExecStartPre={PYTHON} -m tests.deploy.probe\n"
    )
    untouched.start()
    findings = json.loads(untouched.inside.ok("cat", f"{STATE}/probe.json"))
    untouched.inside.ok("rm", "-r", f"{STATE}/probe.json")
    needed = {
        "write state",
        "write runtime",
        "read credential",
        "internet socket",
        "boot time",
        "libraries",
        "child process",
        "second opinion",
        "limit of a child",
    }
    assert {name for name, found in findings.items() if found == "done"} == needed
    status = untouched.inside.ok("cat", f"/proc/{untouched.pid}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert {fields[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}


def test_the_drop_in_for_tor_lets_nothing_out_but_to_this_machine(untouched: Service) -> None:
    elsewhere = CONFIG.replace(f"127.0.0.1:{ELECTRUM}", f"{OTHER_LOOPBACK}:{ELECTRUM}")
    untouched.configure(elsewhere)
    untouched.start()
    untouched.inside.wait(
        lambda: untouched.metric("watcher_source_up", source="home") == 1, within=120, what="the source"
    )

    untouched.drop_in("tor-only", untouched.inside.ok("cat", "/package/systemd/tor-only.conf"))
    untouched.start()
    failed = "watcher_source_up"
    untouched.inside.wait(
        lambda: untouched.metric(failed, source="home") == 0, within=120, what="the source to be refused"
    )
    untouched.configure()
    untouched.start()
    untouched.inside.wait(
        lambda: untouched.metric(failed, source="home") == 1, within=120, what="the source on 127.0.0.1"
    )


def test_it_stops_in_order_also_under_load(service: Service) -> None:
    service.direct("answer/500")
    paid = [service.direct("pay") for _ in range(5)]
    service.inside.ok("systemctl", "stop", UNIT)
    assert service.inside.property(UNIT, "Result") == "success"  # and not that it took too long
    assert service.inside.property(UNIT, "ExecMainStatus") == "0"
    service.direct("answer/204")
    service.direct("mine")
    service.start()
    service.told("tx.confirmed", *paid)


def test_a_backup_is_made_old_ones_go_and_the_newest_is_restored(
    service: Service, container: Container
) -> None:
    folder = "/var/lib/treasury-watcher-backup"
    container.write(
        f"/etc/systemd/system/{UNIT}-backup.service.d/keep.conf", "[Service]\nEnvironment=KEEP=2\n"
    )
    container.ok("systemctl", "daemon-reload")
    made = []
    for _ in range(3):
        container.ok("systemctl", "start", f"{UNIT}-backup.service")
        made = container.ok("ls", folder).split()
        container.ok("sleep", "1")  # names have seconds
    assert len(made) == 2
    newest = made[-1]
    assert container.ok("ls", f"{folder}/{newest}").split() == ["ledger.sqlite", "manifest.json"]
    assert container.ok("stat", "-c", "%U %a", f"{folder}/{newest}/ledger.sqlite").strip() == f"{UNIT} 600"
    assert container.run("grep", "-r", "-a", SECRET, folder).code == 1
    assert container.run("test", "-e", f"{STATE}/ledger.sqlite.backup").code == 0  # whose time is its age

    # and the drill: the state is gone, the newest backup is all there is
    events = service.events()
    container.ok("systemctl", "stop", UNIT)
    container.ok("mv", STATE, f"{STATE}.old")
    container.ok("install", "-d", "-o", UNIT, "-g", UNIT, "-m", "0750", STATE)
    container.ok("treasury-watcher", "restore", f"{folder}/{newest}", "--into", STATE, user=UNIT)
    service.start()
    service.caught_up()
    restored = service.events()
    assert [event["data"]["id"] for event in restored[: len(events)]] == [e["data"]["id"] for e in events]
    assert service.command("verify").code == 0
