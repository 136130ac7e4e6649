"""What must be true of a daemon's log, whatever happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.real.setting import Setting


def add_up(events: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """The plain sum of the deltas by treasury, checked against what each prefix states."""
    sums: dict[str, tuple[int, int]] = {}
    for expected, event in enumerate(events, 1):
        data = event["data"]
        assert data["sequence"] == expected
        if "delta_sats" not in data:
            continue
        old, delta = sums.get(data["treasury"], (0, 0)), data["delta_sats"]
        new = (old[0] + delta["confirmed"], old[1] + delta["pending"])
        sums[data["treasury"]] = new
        stated = data["balance_sats"]
        assert stated is None or (stated["confirmed"], stated["pending"]) == new
    return sums


async def check_against_node(setting: Setting, *, pending: bool = True) -> None:
    """The log's sums are what the node's own UTXO set holds, and `pending` what its mempool adds."""
    sums = add_up(await setting.daemon.events())
    chain = setting.regtest.chain
    for name, addresses in setting.treasuries.items():
        confirmed = await chain.utxo_total(addresses)
        ours = sums.get(name, (0, 0))
        assert ours[0] == confirmed, name
        if pending:
            held = sum([coin.sats for address in addresses for coin in await chain.coins(address)])
            assert sum(ours) == held, name


async def check_ids(setting: Setting) -> list[dict[str, Any]]:
    """No id means two things, and what the receiver got is what the log says; the log."""
    got = list(setting.receiver.received)  # first: what comes while the log is read may not be in it
    events = await setting.daemon.events()
    by_id = {event["data"]["id"]: event for event in events}
    assert len(by_id) == len(events)
    for received in got:
        assert received.refusal is None
        logged = by_id[received.data["id"]]
        own = {"rules", "severity", "step", "fiat", "url"}
        told = {k: v for k, v in received.data.items() if k not in own}
        assert told == {k: v for k, v in logged["data"].items() if k not in own}
        assert received.id.startswith(received.data["id"])
    return events
