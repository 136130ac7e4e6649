"""A block full of small payments on the real stack: one message to people, each event to machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.delivery.rig import Receiver
from tests.delivery.rig import until as until_holds
from tests.real.setting import setting
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.regtest import Regtest

pytestmark = pytest.mark.asyncio(loop_scope="module")  # where the chain runs

INFLOWS = 15  # as many as the node's wallet may chain
RULES = """
[[rules]]
name = "everything"
on = ["any"]
at = ["confirmed"]
severity = "info"
send_to = ["ops", "people", "pager"]

[[endpoints]]
name = "people"
kind = "slack"
url = "CHAT"
allow_private = true

[[endpoints]]
name = "pager"
kind = "alertmanager"
urls = ["PAGER"]
allow_private = true
"""


async def test_a_flood_is_one_message_to_people_and_each_event_to_machines(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with Receiver() as people, Receiver() as pager:
        rules = RULES.replace("CHAT", people.url).replace("PAGER", f"http://127.0.0.1:{pager.port}")
        async with setting(shared_regtest, tmp_path / "daemon", rules=rules) as here:
            alpha, beta = here.treasuries["alpha"][0], here.treasuries["beta"][0]
            await chain.fund(beta, 5_000_000)
            await chain.mine()
            await here.receiver.wait_for(lambda r: r.data["treasury"] == "beta")
            await until_holds(lambda: len(people.requests) == 1, 120)

            for n in range(INFLOWS):
                await chain.fund(alpha, 10_000 + n)
            spent = await chain.spend(beta, await chain.stranger(), 1_000_000)
            await chain.mine()
            for n in range(INFLOWS):
                await here.receiver.wait_for(lambda r, n=n: r.data.get("amount_sats") == 10_000 + n)
            await until_holds(lambda: len(people.requests) == 3, 120)
            # which comes first is drawn: the two treasuries are read one after the other
            flood, outflow = sorted(json.loads(request.body)["text"] for request in people.requests[1:])
            assert outflow.startswith("Outflow of ")
            assert spent in outflow
            assert flood.startswith(f"{INFLOWS} inflows to alpha, 0.00150105 BTC in all")

            def alerts() -> list[dict[str, Any]]:
                return [alert for request in pager.requests for alert in json.loads(request.body)]

            await until_holds(lambda: len(alerts()) == INFLOWS + 2, 120)
            assert {alert["labels"]["alertname"] for alert in alerts()} == {
                "TreasuryInflow",
                "TreasuryOutflow",
            }

            async def settled() -> bool:
                return await here.daemon.metric("watcher_outbox_pending", endpoint="people") == 0

            await until(settled, within=60, what="every delivery of the one message recorded")
