"""The installed service in a container, and the words operators have for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.actors import DIRECTOR, ELECTRUM, RECEIVER, SCRIPT
from tests.stack.receiver import SECRET

if TYPE_CHECKING:
    from tests.deploy.container import Container

UNIT: Final = "treasury-watcher"
ETC: Final = "/etc/treasury-watcher"
STATE: Final = "/var/lib/treasury-watcher"
PYTHON: Final = "/opt/treasury-watcher/current/bin/python"
HTTP: Final = "http://127.0.0.1:9342"

CONFIG: Final = f"""
network = "regtest"
state_directory = "{STATE}"
[http]
listen = "127.0.0.1:9342"
[quorum]
sources = 1
[timing]
reread = "2s"
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:{ELECTRUM}"
[[treasuries]]
name = "alpha"
title = "Alpha Foundation"
attribution = "own"
[[treasuries.watch]]
script = "{SCRIPT.hex()}"
[[rules]]
name = "everything"
on = ["any"]
at = ["seen", "confirmed"]
send_to = ["ops"]
[[endpoints]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:{RECEIVER}/hook"
secret_credential = "secret_ops"
allow_private = true
"""


@dataclass(frozen=True, slots=True)
class Service:
    """The service as its operator sees it."""

    inside: Container

    def install(self, package: str = "/package") -> str:
        """What install.sh says."""
        return self.inside.ok("sh", f"{package}/install.sh", within=900)

    def configure(self, text: str = CONFIG) -> None:
        """The config and the one secret it names."""
        self.inside.write(f"{ETC}/watcher.toml", text)
        self.inside.write(f"{ETC}/credentials/ops", SECRET)
        self.inside.ok("chmod", "0600", f"{ETC}/credentials/ops")

    def drop_in(self, name: str, text: str) -> None:
        """A drop-in of the unit; `revert` takes all of them away again."""
        self.inside.write(f"/etc/systemd/system/{UNIT}.service.d/{name}.conf", text)
        self.inside.ok("systemctl", "daemon-reload")

    def revert(self) -> None:
        """No drop-ins, the config as it was, and running."""
        self.inside.ok("rm", "-rf", f"/etc/systemd/system/{UNIT}.service.d")
        self.inside.ok("systemctl", "daemon-reload")
        self.configure()
        self.start()

    def start(self) -> None:
        """Restart, until systemd has heard READY."""
        self.inside.ok("systemctl", "restart", UNIT, within=600)

    @property
    def pid(self) -> int:
        """The daemon's process id inside."""
        return int(self.inside.property(UNIT, "MainPID"))

    @property
    def state(self) -> str:
        """The word of `systemctl is-active`."""
        return self.inside.property(UNIT, "ActiveState")

    def metric(self, name: str, **labels: str) -> float | None:
        """The one sample with this name and at least these labels."""
        families = text_string_to_metric_families(self.inside.http(f"{HTTP}/metrics"))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        found = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
        assert len(found) <= 1, f"{name} {labels} is ambiguous"
        return found[0] if found else None

    def events(self) -> list[dict[str, Any]]:
        """The log, oldest first."""
        events: list[dict[str, Any]] = self.inside.json(f"{HTTP}/api/v1/events?limit=1000")["events"]
        return events

    def told(self, event_type: str, *txids: str) -> None:
        """Until the log says this of each of these transactions, and the receiver has been told."""

        def there() -> bool:
            events = [event["data"] for event in self.events() if event["type"] == event_type]
            ids = {data["id"] for data in events if data["txid"] in txids}
            return {data["txid"] for data in events} >= set(txids) and ids <= self.received_ids()

        self.inside.wait(there, within=180, what=f"{event_type} of {txids}")

    def command(self, *words: str, user: str = "root") -> Any:
        """What the command line does for a user."""
        return self.inside.run("treasury-watcher", *words, user=user)

    # -- the other actors ----------------------------------------------------------------------------

    def start_actors(self) -> None:
        """The Electrum server and the receiver, until the container ends."""
        self.inside.ok(
            *("systemd-run", "--quiet", "--unit=actors", "--setenv=PYTHONPATH=/srv", "--setenv=HOME=/root"),
            *("--setenv=PYTHONDONTWRITEBYTECODE=1", PYTHON, "-m", "tests.deploy.actors"),
        )
        self.inside.wait(self._directed, within=120, what="the actors to start")

    def _directed(self) -> bool:
        asked = self.inside.run(
            "python3", "-c", f"import socket as s; s.create_connection(('127.0.0.1', {DIRECTOR}))"
        )
        return asked.code == 0

    def direct(self, what: str) -> str:
        """`pay` (the txid), `mine` (the height), `answer/STATUS` (of the receiver from now on)."""
        return self.inside.http(f"http://127.0.0.1:{DIRECTOR}/{what}", method="POST").strip()

    def received(self) -> list[dict[str, Any]]:
        """What the receiver has verified, retries included."""
        received: list[dict[str, Any]] = self.inside.json(f"http://127.0.0.1:{DIRECTOR}/received")
        return received

    def received_ids(self) -> set[str]:
        """Their ids."""
        return {one["id"] for one in self.received()}

    def caught_up(self) -> None:
        """Until the treasury is fresh and nothing waits in the outbox."""

        def there() -> bool:
            pending = self.metric("watcher_outbox_pending", endpoint="ops")
            return self.metric("watcher_treasury_fresh", treasury="alpha") == 1 and pending == 0

        self.inside.wait(there, within=180, what="the daemon to catch up")
