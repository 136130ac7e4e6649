"""A machine that refuses descriptors, memory or log lines: degraded and not silent, and nothing is lost."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.places import ALPHA, Place, fresh, log_has
from tests.delivery import rig
from tests.ledger.disk import fill
from tests.stack.processes import Child, until

if TYPE_CHECKING:
    from tests.stack.daemon import Daemon
    from tests.toy.electrum import ToyElectrum

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def descriptors(daemon: Daemon) -> int:
    """How many the daemon has open."""
    return len(list(Path(f"/proc/{daemon.child.pid}/fd").iterdir()))


async def told(receiver: rig.Receiver, txid: str) -> None:
    """Until a webhook about the transaction came."""

    async def came() -> bool:
        return any(txid.encode() in request.body for request in receiver.requests)

    await until(came, within=180, what=f"a webhook about {txid}")


async def test_without_descriptors_it_waits_and_gives_back_what_it_took(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with rig.Receiver() as receiver:
        here = Place(tmp_path, {"home": toy.url}, receiver.url)
        async with here.daemon() as daemon:
            await fresh(daemon)
            await told(receiver, toy.chain.pay(ALPHA, 10_000))
            pid, before = daemon.child.pid, descriptors(daemon)
            most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, most[1]))  # not one more
            toy.disconnect_all()
            missed = toy.chain.pay(ALPHA, 20_000)
            await log_has(daemon, "source failed")
            for _ in range(3):  # each waits for a second, to be accepted in vain, for longer than one try
                with pytest.raises(OSError, match="timed out"):
                    await daemon.get("/healthz", within=2)
            log = daemon.child.log.read_text()
            assert 1 <= log.count("no connection can be accepted: Too many open files") < 5  # once a minute
            assert "Traceback" not in log
            assert daemon.child.running
            resource.prlimit(pid, resource.RLIMIT_NOFILE, most)
            await told(receiver, missed)
            await fresh(daemon)

            async def are_given_back() -> bool:
                return descriptors(daemon) <= before

            await until(are_given_back, within=180, what=f"{before} descriptors, as before")
            assert await daemon.terminate() == 0


async def test_without_memory_it_goes_on_or_ends_with_the_truth_and_has_lost_nothing(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with rig.Receiver() as receiver:
        here = Place(tmp_path, {"home": toy.url}, receiver.url).daemon()
        async with here as daemon:
            await fresh(daemon)
            pid = daemon.child.pid
            size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            most = resource.prlimit(pid, resource.RLIMIT_AS)
            resource.prlimit(pid, resource.RLIMIT_AS, (size, most[1]))  # what is mapped, and not a page more
            toy.chain.mine(30)
            paid = [toy.chain.pay(ALPHA, 10_000 + number) for number in range(30)]

            async def ended_or_told() -> bool:
                return not daemon.child.running or len(receiver.requests) > len(paid)

            await until(ended_or_told, within=180, what="an end, or the webhooks")
            if daemon.child.running:
                resource.prlimit(pid, resource.RLIMIT_AS, most)
                assert await daemon.terminate() == 0
            else:
                assert await daemon.child.ended(within=1) in {4, -signal.SIGABRT, -signal.SIGSEGV}
            await daemon.start()
            for txid in paid:
                await told(receiver, txid)
        assert (await here.command("verify")).code == 0


async def test_a_full_disk_is_told_outside_and_nothing_is_skipped(
    toy: ToyElectrum, small_disk: Path, tmp_path: Path
) -> None:
    """No endpoint can be told, since nothing is sent that is not recorded: the heartbeat's service is."""
    ballast = small_disk / "ballast"
    async with rig.Receiver() as receiver, rig.Receiver() as service:
        (tmp_path / "up.url").write_text(f"{service.url}/up")
        (tmp_path / "fail.url").write_text(f"{service.url}/fail")
        here = Place(tmp_path, {"home": toy.url}, receiver.url)
        beats = '[heartbeat]\nurl_file = "up.url"\nfail_url_file = "fail.url"\nevery = "200ms"\n'

        def reasons() -> set[str]:
            return {request.body.decode() for request in service.requests if "/fail" in request.line}

        async def is_told(reason: str) -> None:
            async def told() -> bool:
                return reason in reasons()

            await until(told, within=60, what=f"{reason!r} at the fail URL")

        async with here.daemon(here.config(state=str(small_disk), extra=beats)) as daemon:
            await fresh(daemon)
            await is_told("less than 64 MiB are left for the ledger")  # before it is full
            fill(ballast)
            toy.chain.mine(30)
            paid = [toy.chain.pay(ALPHA, 10_000 + number) for number in range(30)]
            await is_told("the ledger cannot be written")
            assert (await daemon.get("/readyz")).status == 503
            assert (await daemon.get("/healthz")).status == 200
            assert await daemon.metric("watcher_ledger_writable") == 0
            ballast.unlink()
            for txid in paid:
                await told(receiver, txid)
            assert await daemon.metric("watcher_ledger_writable") == 1
            log = daemon.child.log.read_text()
            assert log.count("the ledger cannot be written: ") == 1
            assert log.count("the ledger can be written again") == 1
            assert await daemon.terminate() == 0
        assert (await daemon.command("verify")).code == 0


async def test_a_log_that_nobody_can_write_stops_nothing(toy: ToyElectrum, tmp_path: Path) -> None:
    """Its standard error is a file on a full disk."""
    async with rig.Receiver() as receiver:
        daemon = Place(tmp_path, {"home": toy.url}, receiver.url).daemon()
        daemon.child = Child(
            [
                *("sh", "-c", 'exec "$@" 2>/dev/full', "sh"),
                *(sys.executable, "-m", "watcher", "--config", str(daemon.path), "run"),
            ],
            log=daemon.child.log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
        )
        async with daemon:
            await fresh(daemon)
            toy.disconnect_all()  # a line about it, and another about its recovery
            await told(receiver, toy.chain.pay(ALPHA, 10_000))
            assert await daemon.terminate() == 0


async def test_a_hangup_with_a_wrong_config_keeps_the_old_one_and_shows_it(
    toy: ToyElectrum, tmp_path: Path
) -> None:
    async with Place(tmp_path, {"home": toy.url}).daemon() as daemon:
        await fresh(daemon)
        before = await daemon.metric("watcher_config_hash")
        right, daemon.config = daemon.config, daemon.config + "\nnonsense = 1\n"
        daemon.write_config()
        daemon.child.signal(signal.SIGHUP)
        daemon.config = right

        async def shown(value: float) -> bool:
            return await daemon.metric("watcher_config_last_reload_successful") == value

        await until(lambda: shown(0), within=60, what="the refused reload on /metrics")
        assert await daemon.metric("watcher_config_hash") == before
        await log_has(daemon, "nonsense")
        daemon.write_config()
        daemon.child.signal(signal.SIGHUP)
        await until(lambda: shown(1), within=60, what="the good reload on /metrics")
