"""A daemon with the Prometheus and Alertmanager of `deploy/` around it, their clocks sped up."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from aiohttp import web

from tests.real.setting import Setting, config, two_treasuries
from tests.stack import fetch, loopback
from tests.stack.bitcoind import Node
from tests.stack.chain import Chain
from tests.stack.daemon import Daemon
from tests.stack.electrumx import ElectrumX
from tests.stack.processes import Child, free_port, until
from tests.stack.receiver import SECRET, Receiver
from tests.stack.regtest import Regtest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DAY: Final = 86_400
DEPOSIT: Final = 50_000_000  # satoshis, to each treasury
YESTERDAY: Final = 40 * 100_000_000  # satoshis, of the years before the first scrape


_CLAIM: Final = """
[[treasuries.claims]]
id = "press"
says = "at_most"
btc = "100"
as_of = 2025-07-18
standing = true
"""

_FIAT: Final = """
[fiat]
currency = "USD"
kind = "fixed"
rate = "90244"
"""

_SIGNS_OF_LIFE: Final = """
[canary]
every = "2s"

[heartbeat]
url_file = "heartbeat.url"
every = "1s"
"""


@dataclass(frozen=True, slots=True)
class Monitored:
    """Everything running: the daemon has told of a deposit since Prometheus looked for the first time."""

    setting: Setting
    prometheus: Prometheus
    alertmanager: str  # its URL
    inbox: Inbox


class Inbox:
    """Where Alertmanager sends: the alerts of each receiver, in the order of arrival."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: dict[str, list[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1_000_000)
        app.router.add_post("/{receiver}", self._take)
        app.router.add_get("/heartbeat", self._heartbeat)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def alert(self, receiver: str, status: str, **labels: str) -> dict[str, Any]:
        """The first alert with this status and at least these labels that came or comes to this receiver."""

        async def arrived() -> dict[str, Any] | None:
            for alert in self.received.get(receiver, ()):
                if alert["status"] == status and labels.items() <= alert["labels"].items():
                    return alert
            return None

        return await until(arrived, within=180, what=f"{labels} {status} at {receiver}")

    async def _heartbeat(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _take(self, request: web.Request) -> web.Response:
        group = await request.json()
        self.received.setdefault(request.match_info["receiver"], []).extend(group["alerts"])
        return web.Response()


class Prometheus:
    """A running Prometheus, asked over its API."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    async def query(self, expr: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """The samples of an instant query, now or `at` Unix seconds; `AssertionError` with its error."""
        parameters = {"query": expr} | ({} if at is None else {"time": str(at)})
        answer = await self.get("/api/v1/query?" + urlencode(parameters))
        result: list[dict[str, Any]] = answer["result"]
        return result

    async def get(self, path: str) -> Any:
        """The data of an answer of the API."""
        reply = await loopback.request(self._url + path)
        assert reply.status == 200, (path, reply.body)
        return reply.json()["data"]

    async def ready(self) -> bool:
        """Whether it answers."""
        try:
            return (await loopback.request(self._url + "/-/ready", within=10)).status == 200
        except OSError:
            return False


@asynccontextmanager
async def monitored(directory: Path) -> AsyncIterator[Monitored]:
    """The whole, from nothing; killed at the end."""
    programs = await asyncio.to_thread(fetch.monitoring)
    await asyncio.to_thread(fetch.parts)
    async with (
        Node(directory / "node") as node,
        ElectrumX(node, tls=True) as electrumx,
        Receiver() as receiver,
        Inbox() as inbox,
        _daemon(
            directory / "daemon", Regtest(node, await Chain.open(node), electrumx), receiver, inbox
        ) as setting,
        _alertmanager(directory / "alertmanager", programs, inbox) as alertmanager,
        _prometheus(directory / "prometheus", programs, setting, alertmanager) as prometheus,
    ):
        await scraped(prometheus)
        for addresses in setting.treasuries.values():
            await setting.regtest.chain.fund(addresses[0], DEPOSIT)
        await setting.regtest.chain.mine()
        await _deposits_show(prometheus)
        yield Monitored(setting, prometheus, f"http://127.0.0.1:{alertmanager}", inbox)


async def scraped(prometheus: Prometheus) -> None:
    """Until Prometheus has scraped the daemon again, and then evaluated its rules again."""
    for series in ('up{job="treasury-watcher"}', 'ALERTS{alertname="Watchdog"}'):
        began = time.time()

        async def again(series: str = series, began: float = began) -> bool:
            newest = await prometheus.query(f"min(timestamp({series}))")
            return bool(newest) and float(newest[0]["value"][1]) > began

        await until(again, within=120, what=f"a new sample of {series}")


async def _deposits_show(prometheus: Prometheus) -> None:
    expr = f'count(watcher_treasury_balance_satoshis{{instance!="", position="confirmed"}} == {DEPOSIT}) == 2'

    async def shown() -> bool:
        return bool(await prometheus.query(expr))

    await until(shown, within=120, what="the deposits in Prometheus")
    await scraped(prometheus)


@asynccontextmanager
async def _daemon(
    directory: Path, regtest: Regtest, receiver: Receiver, inbox: Inbox
) -> AsyncIterator[Setting]:
    treasuries = await two_treasuries(regtest)
    directory.mkdir()
    (directory / "ops.secret").write_text(SECRET)
    (directory / "heartbeat.url").write_text(f"http://127.0.0.1:{inbox.port}/heartbeat")
    listen = f"127.0.0.1:{free_port()}"
    text = config(listen, regtest.electrumx.tls_url, receiver.url, treasuries)
    text = text.replace('kind = "webhook"', 'kind = "webhook"\ncanary = true') + _SIGNS_OF_LIFE + _FIAT
    text = text.replace("dust_sats = 0\n", f"dust_sats = 0{_CLAIM}", 1)
    trusted = {"SSL_CERT_FILE": str(regtest.electrumx.certificate)}
    async with Daemon(text, directory, environment=trusted) as daemon:
        setting = Setting(regtest, daemon, receiver, treasuries)
        await setting.caught_up()
        assert (await daemon.command("backup", str(directory / "backup"))).code == 0
        yield setting


@asynccontextmanager
async def _alertmanager(directory: Path, programs: fetch.Monitoring, inbox: Inbox) -> AsyncIterator[int]:
    directory.mkdir()
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    text = text.replace("https://hooks.example", f"http://127.0.0.1:{inbox.port}")
    text = re.sub(r"(group_wait|group_interval): \S+", r"\1: 1s", text)
    text = text.replace("repeat_interval: 50s", "repeat_interval: 1s")
    (directory / "alertmanager.yml").write_text(text)
    port = free_port()
    arguments = {
        "config.file": directory / "alertmanager.yml",
        "storage.path": directory / "state",
        "web.listen-address": f"127.0.0.1:{port}",
        "cluster.listen-address": "",
    }

    async def ready() -> bool:
        return await Prometheus(port).ready()

    async with _running(programs.alertmanager, arguments, directory, ready):
        yield port


@asynccontextmanager
async def _prometheus(
    directory: Path, programs: fetch.Monitoring, setting: Setting, alertmanager: int
) -> AsyncIterator[Prometheus]:
    shutil.copytree(DEPLOY / "prometheus", directory)
    port = free_port()
    places = {"9342": setting.daemon.url.rpartition(":")[2], "9090": str(port), "9093": str(alertmanager)}
    text = (directory / "prometheus.yml").read_text()
    text = re.sub(r"localhost:(\d+)", lambda match: f"127.0.0.1:{places[match[1]]}", text)
    text = re.sub(r"_interval: \S+", "_interval: 1s", text).replace("# - optional/", "- optional/")
    (directory / "prometheus.yml").write_text(text)
    for rules in directory.glob("*/*.yml"):
        rules.write_text(re.sub(r"(?m)^( +for): \S+$", r"\1: 1s", rules.read_text()))
    _backfill(directory / "data", programs, sorted(setting.treasuries))
    prometheus = Prometheus(port)
    arguments = {
        "config.file": directory / "prometheus.yml",
        "storage.tsdb.path": directory / "data",
        "web.listen-address": f"127.0.0.1:{port}",
        "rules.alert.resend-delay": "1s",
    }
    async with _running(programs.prometheus, arguments, directory, prometheus.ready):
        yield prometheus


def _backfill(data: Path, programs: fetch.Monitoring, treasuries: Sequence[str]) -> None:
    """Blocks of the 26 hours before the last one, as an operator makes them from a history."""
    now = int(time.time())
    lines = ["# TYPE watcher_treasury_balance_satoshis gauge"]
    for name in treasuries:
        labels = f'{{treasury="{name}",position="confirmed"}}'
        lines += [
            f"watcher_treasury_balance_satoshis{labels} {YESTERDAY} {at}"
            for at in range(now - 26 * 3600, now - 3600, 240)
        ]
    source = data.with_suffix(".om")
    source.write_text("\n".join([*lines, "# EOF\n"]))
    subprocess.run(
        [programs.promtool, "tsdb", "create-blocks-from", "openmetrics", source, data],
        check=True,
        capture_output=True,
        timeout=180,
    )


@asynccontextmanager
async def _running(
    program: Path, arguments: Mapping[str, object], directory: Path, ready: Callable[[], Any]
) -> AsyncIterator[None]:
    command: list[Path | str] = [program, *(f"--{name}={value}" for name, value in arguments.items())]
    child = Child(command, log=directory / "log", cwd=directory)
    child.start()
    try:
        await child.ready(ready, within=180)
        yield
    finally:
        child.kill()


def dashboards() -> dict[str, dict[str, Any]]:
    """The committed dashboards by file name."""
    return {
        path.stem: json.loads(path.read_text()) for path in (DEPLOY / "grafana/dashboards").glob("*.json")
    }


def expressions(dashboard: dict[str, Any]) -> dict[str, str]:
    """Every query of a dashboard by panel and reference."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }
