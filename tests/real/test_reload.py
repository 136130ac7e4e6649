"""Reload on the real stack, with the case that made the news: one address moves everything to fourteen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.real.checks import add_up
from tests.real.setting import RULES, config, setting
from tests.stack.processes import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.setting import Setting
    from tests.stack.regtest import Regtest

FOURTEEN = 14


def relisted(here: Setting, treasuries: dict[str, list[str]], rules: str = RULES) -> str:
    """The daemon's config with another watch list."""
    listen = here.daemon.url.removeprefix("http://")
    return config(listen, here.regtest.electrumx.url, here.receiver.url, treasuries, rules)


async def balance(here: Setting, treasury: str) -> int:
    return add_up(await here.daemon.events()).get(treasury, (0, 0))[0]


async def test_fourteen_new_addresses_are_an_outflow_until_they_are_listed(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        old = here.treasuries["alpha"][0]
        await chain.fund(old, 62_800_000)
        await chain.mine()
        await here.receiver.wait_for(lambda r: r.type == "tx.confirmed")
        new = [await chain.new_address() for _ in range(FOURTEEN)]
        (coin,) = await chain.coins(old)
        draft = await chain.draft(dict.fromkeys(new, 4_400_000), [coin], change=new[0])
        moved = await chain.send(draft)
        await chain.mine()
        alarm = await here.receiver.wait_for(
            lambda r: r.type == "tx.confirmed" and r.data["txid"] == moved, within=20
        )
        assert (alarm.data["flow"], len(alarm.data["destinations"])) == ("outflow", FOURTEEN)
        assert await balance(here, "alpha") == 0

        suggested = await here.daemon.command("suggest", alarm.data["incident"])
        assert all(f'address = "{address}"' in suggested.out for address in new)

        lists = {"alpha": [*here.treasuries["alpha"], *new], "beta": list(here.treasuries["beta"])}
        here.daemon.config = relisted(here, lists)
        here.daemon.write_config()
        outcome = await here.daemon.command("reload", "--reason", "coins moved", "--by", "treasurer")
        assert (outcome.code, outcome.err) == (0, "")
        told = await here.receiver.wait_for(lambda r: r.type == "tx.reclassified")
        assert (told.data["txid"], told.data["flow"]) == (moved, "internal")
        assert told.data["delta_sats"] == {"confirmed": 0, "pending": 0}
        assert told.data["incident"] == alarm.data["incident"]
        assert told.data["supersedes"] == alarm.data["id"]
        assert told.data["confirmations"] == 1
        fee = 62_800_000 - await chain.utxo_total(lists["alpha"])
        assert await balance(here, "alpha") == 62_800_000 - fee
        types = [event["type"] for event in await here.daemon.events()]
        assert types[-4:] == ["watch.added", "config.changed", "watch.baselined", "tx.reclassified"]
        changed = next(e for e in await here.daemon.events() if e["type"] == "config.changed")
        assert (changed["data"]["reason"], changed["data"]["by"]) == ("coins moved", "treasurer")
        assert (await here.daemon.command("verify")).code == 0

        await chain.fund(new[3], 1_000_000)
        seen = await here.receiver.wait_for(
            lambda r: r.type == "tx.seen" and r.data["amount_sats"] == 1_000_000, within=20
        )
        assert seen.data["treasury"] == "alpha"


async def test_a_removed_watch_that_holds_coins_is_critical_and_told(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        kept, gone = here.treasuries["alpha"][:2]
        await chain.fund(kept, 100_000)
        await chain.fund(gone, 900_000)
        await chain.mine()

        async def counted() -> bool:
            return await balance(here, "alpha") == 1_000_000

        await until(counted, within=120, what="both to be counted")
        quiet = RULES.replace('on = ["any", "chain", "watch"]', 'on = ["outflow"]')
        here.daemon.config = relisted(here, {"alpha": [kept], "beta": list(here.treasuries["beta"])}, quiet)
        here.daemon.write_config()
        assert (await here.daemon.command("reload")).code == 0
        removed = await here.receiver.wait_for(lambda r: r.type == "watch.removed")
        assert removed.data["severity"] == "critical"
        assert removed.data["delta_sats"]["confirmed"] == -900_000
        changed = await here.receiver.wait_for(lambda r: r.type == "config.changed")
        assert changed.data["severity"] == "critical"
        assert {"what": "rule", "name": "everything", "change": "loosened"} in changed.data["difference"]
        assert await balance(here, "alpha") == 100_000


async def test_a_wrong_config_is_refused_whole_and_the_old_one_goes_on(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        good = here.daemon.config
        here.daemon.config = good.replace("finality", "finalty").replace('name = "beta"', 'nam = "beta"')
        here.daemon.write_config()
        outcome = await here.daemon.command("reload")
        assert outcome.code == 2
        assert "nam" in outcome.err
        await until(lambda: reload_was(here, 0), within=60, what="the metric to say so")
        txid = await chain.fund(here.treasuries["beta"][0], 123_456)
        await here.receiver.wait_for(lambda r: r.data.get("txid") == txid)
        here.daemon.config = good
        here.daemon.write_config()
        assert (await here.daemon.command("reload")).code == 0
        await until(lambda: reload_was(here, 1), within=60, what="the metric to say so")


async def reload_was(here: Setting, successful: int) -> bool:
    """A scrape is up to a second old."""
    return await here.daemon.metric("watcher_config_last_reload_successful") == successful


async def test_membership_by_height_begins_and_ends_with_its_block(
    shared_regtest: Regtest, tmp_path: Path
) -> None:
    chain = shared_regtest.chain
    async with setting(shared_regtest, tmp_path / "daemon") as here:
        guest = await chain.new_address()
        await chain.fund(guest, 700_000)
        await chain.mine()
        height, _ = await chain.tip()
        bounds = f"member_from = {height + 2}\nmember_until = {height + 4}"
        here.daemon.config = here.daemon.config.replace(
            '[[treasuries]]\nname = "beta"',
            f'[[treasuries.watch]]\naddress = "{guest}"\n{bounds}\n[[treasuries]]\nname = "beta"',
        )
        here.daemon.write_config()
        assert (await here.daemon.command("reload")).code == 0
        await chain.mine()
        await here.caught_up()
        assert await balance(here, "alpha") == 0
        await chain.mine()

        async def is_balance(sats: int) -> bool:
            return await balance(here, "alpha") == sats

        await until(lambda: is_balance(700_000), within=120, what="the membership to begin")
        await chain.mine(2)
        await until(lambda: is_balance(0), within=120, what="the membership to end")
        types = [e["type"] for e in await here.daemon.events() if e["type"].startswith("watch.")]
        assert types[-3:] == ["watch.added", "watch.baselined", "watch.removed"]
        assert (await here.daemon.command("verify")).code == 0
