"""What bitcoinlib, which shares no code with ours, makes of the same addresses and wallets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from watcher.cli.failures import ExitCode, Failure
from watcher.secondopinion.opinion import NoOpinionError, second_opinion

if TYPE_CHECKING:
    from watcher.config.settings import Config

_SECONDS: Final = 30.0


def opinion(config: Config) -> str:
    """A line that says whether it agrees; a difference is a config error, and shows both readings."""
    scripts = [script for treasury in config.treasuries for script in treasury.initial_scripts]
    wallets = [watch.wallet for treasury in config.treasuries for watch in treasury.wallets]
    addresses = [(script.address, script.script_pubkey) for script in scripts if script.address is not None]
    try:
        differences = asyncio.run(second_opinion(addresses, wallets, config.network, within=_SECONDS))
    except NoOpinionError as error:
        return f"note: no second opinion: {error}"
    if differences:
        raise Failure(ExitCode.USAGE, *(f"{config.file}: {difference}" for difference in differences))
    return "second opinion: bitcoinlib reads the addresses as we do"
