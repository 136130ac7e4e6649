"""Receivers that misbehave, all at once, and a daemon that is killed in the middle of every one of them.

Three lives: in the first each has a request in hand and has not answered; in the second each misbehaves in
its own manner; in the third all are well again.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from standardwebhooks import Webhook

from tests.daemon.nest import Nest
from tests.daemon.places import ALPHA, Place, fresh
from tests.delivery.rig import Answer, Receiver, Request, hang, raw, status
from tests.delivery.rig import until as until_holds
from tests.stack.loopback import request
from tests.stack.processes import until
from tests.stack.receiver import SECRET
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.stack.daemon import Daemon

CERTIFICATE: Final = Path(__file__).parents[1] / "toy" / "tls" / "elsewhere.pem"
FORBIDDEN: Final = {"metadata": "https://169.254.169.254/", "loopback": "https://localhost:9/"}


async def flood(_request: Request, writer: asyncio.StreamWriter) -> None:
    """A gigabyte, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
    for _ in range(16_384):
        writer.write(bytes(65_536))
        await writer.drain()


async def drip(_request: Request, writer: asyncio.StreamWriter) -> None:
    """A byte a second."""
    for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + bytes(1_000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


# how each misbehaves, and what is to become of a delivery: its state and reason; None: nothing yet
FAULTS: Final[dict[str, tuple[Answer, tuple[str, str | None] | None]]] = {
    "error": (status(500), ("pending", "status_5xx")),
    "hanging": (hang, None),
    "elsewhere": (status(301, "location: https://elsewhere.example/"), ("pending", "redirect")),
    "gigabyte": (flood, ("delivered", None)),
    "cut": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"), ("pending", "connection")),
    "gone": (status(410), ("dead", "gone")),
    "busy": (status(429), ("pending", "throttled")),
    "later": (status(429, "retry-after: 7200"), ("pending", "throttled")),
    "dripping": (drip, None),
}


class Stand:
    """A daemon, a receiver for each fault, one that is well, one with a bad certificate."""

    def __init__(self, chain: ToyChain, receivers: dict[str, Receiver], daemon: Daemon) -> None:
        self.chain = chain
        self.receivers = receivers
        self.daemon = daemon

    async def pay(self, *heard_by: str) -> str:
        """Pay the first treasury, and wait until these have been told."""
        txid = self.chain.pay(ALPHA, 50_000)

        async def heard() -> bool:
            return all(
                any(txid.encode() in each.body for each in self.receivers[name].requests) for name in heard_by
            )

        await until(heard, within=120, what=f"{heard_by} told of the payment")
        return txid

    async def deliveries(self, *states: str) -> list[dict[str, Any]]:
        found = (await self.daemon.get("/api/v1/deliveries?limit=1000")).json()["deliveries"]
        return [each for each in found if not states or each["state"] in states]

    async def redelivered(self) -> None:
        """Until all is delivered but what cannot be: what waits is asked for now."""
        unreachable = {"certificate", *FORBIDDEN}

        async def settled() -> bool:
            left = [d for d in await self.deliveries("pending", "dead") if d["endpoint"] not in unreachable]
            for each in left:
                await request(
                    f"{self.daemon.url}/api/v1/deliveries/{each['id']}/redeliver",
                    method="POST",
                    body=b"{}",
                    headers={"content-type": "application/json"},
                )
            return not left

        await until(settled, within=240, what="all delivered")


def config(place: Place, receivers: dict[str, Receiver]) -> str:
    urls = {name: receiver.url for name, receiver in receivers.items()}
    urls["certificate"] = urls["certificate"].replace("http:", "https:")
    endpoints = "".join(
        f'\n[[endpoints]]\nname = "{name}"\nkind = "webhook"\nurl = "{url}"\nsecret_file = "ops.secret"\n'
        f"allow_private = {str(name != 'loopback').lower()}\n"
        for name, url in {**urls, **FORBIDDEN}.items()
        if name != "ops"
    )
    everybody = json.dumps([*urls, *FORBIDDEN])
    return place.config(extra=endpoints).replace('send_to = ["ops"]', f"send_to = {everybody}")


def is_signed(told: Request) -> bool:
    """Whether its signature is right for its own moment: `verify` is for receivers, and has five minutes."""
    moment = datetime.fromtimestamp(int(told.headers["webhook-timestamp"]), UTC)
    signature = Webhook(SECRET).sign(told.webhook_id, moment, told.body.decode())
    return signature in told.headers["webhook-signature"].split()


@pytest.fixture(scope="module")
def nest() -> Iterator[Nest]:
    with Nest() as open_nest:
        yield open_nest


@pytest.fixture
async def stand(nest: Nest, tmp_path: Path) -> AsyncIterator[Stand]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    async with AsyncExitStack() as stack:
        toy = await stack.enter_async_context(ToyElectrum(ToyChain()))
        receivers = {name: Receiver(otherwise=hang) for name in FAULTS}
        receivers |= {"ops": Receiver(), "certificate": Receiver(tls=context)}
        for receiver in receivers.values():
            await stack.enter_async_context(receiver)
        (tmp_path / "ops.secret").write_text(SECRET)
        place = Place(tmp_path, {"home": toy.url}, receivers["ops"].url)
        daemon = nest.daemon(config(place, receivers), tmp_path)
        stack.callback(daemon.kill)
        await daemon.start()
        await fresh(daemon)
        yield Stand(toy.chain, receivers, daemon)


async def test_nothing_is_lost_and_nobody_else_waits_whatever_receivers_do_and_whenever_it_is_killed(
    stand: Stand,
) -> None:
    daemon, receivers = stand.daemon, stand.receivers

    first = await stand.pay("ops", *FAULTS)
    daemon.kill()

    for name, (answer, _) in FAULTS.items():
        receivers[name].otherwise = answer
        receivers[name].requests.clear()
    expected = {name: fate for name, (_, fate) in FAULTS.items() if fate is not None}
    expected |= {"certificate": ("pending", "tls")}
    expected |= dict.fromkeys(FORBIDDEN, ("pending", "forbidden_address"))
    await daemon.start()

    async def judged() -> bool:
        found = {d["endpoint"]: (d["state"], d["reason"]) for d in await stand.deliveries() if d["id"] in ids}
        return all(found[name] == fate for name, fate in expected.items())

    ids = {d["id"] for d in await stand.deliveries() if d["type"] == "tx.seen"}
    await until(judged, within=120, what="each judged as the specification says")
    (later,) = [d for d in await stand.deliveries("pending") if d["endpoint"] == "later" and d["id"] in ids]
    assert later["due"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3_600))
    # the ones that hang have it in hand, and the others do not wait for them
    second = await stand.pay("ops")
    assert {(d["endpoint"], d["reason"]) for d in await stand.deliveries("dead")} == {("gone", "gone")}
    failed = [each for each in await daemon.events() if each["type"] == "endpoint.failed"]
    assert [each["data"]["endpoint"] for each in failed] == ["gone"]
    await until_holds(lambda: bool(receivers["hanging"].requests and receivers["dripping"].requests), 60)
    assert receivers["certificate"].requests == []
    daemon.kill()

    for name in FAULTS:
        receivers[name].otherwise = status(200)
    await daemon.start()
    await stand.redelivered()
    for name in ("ops", *FAULTS):
        told: dict[str, bytes] = {}
        for each in receivers[name].requests:
            assert is_signed(each)
            assert told.setdefault(each.webhook_id, each.body) == each.body
        payments = [json.loads(body)["data"].get("txid") for body in told.values()]
        assert payments.count(first) == 1, name
        assert payments.count(second) == 1, name
    waiting = {d["endpoint"] for d in await stand.deliveries("pending")}
    assert waiting == {"certificate", *FORBIDDEN}
    assert {d["endpoint"] for d in await stand.deliveries("dead")} == set()
