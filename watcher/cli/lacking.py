"""`watcher verify --online`: every source asked again for what the ledger lacks."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from watcher.app.wiring import sources_of
from watcher.bitcoin.headers import parse_header
from watcher.bitcoin.merkle import check_branch
from watcher.bitcoin.transactions import parse_transaction
from watcher.bitcoin.types import Malformed
from watcher.cli.failures import ExitCode, Failure
from watcher.cli.online import Verdict, connected
from watcher.config.credentials import SecretProblem
from watcher.ledger.pins import pins
from watcher.ledger.recorded import header_at, recorded
from watcher.service.logging import clean
from watcher.service.numbers import counted
from watcher.sources.base import SourceError
from watcher.sources.dial import FirstUse

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from watcher.bitcoin.types import Txid
    from watcher.config.settings import Config
    from watcher.ledger.recorded import Recorded
    from watcher.sources.kinds import AnySource

_BATCH: Final = 100  # scripts whose histories are asked for at once
_SECONDS: Final = 120.0  # for one such batch
_MOST_PROVEN: Final = 100  # of what a source shows; the rest is only counted


@dataclass(slots=True)
class _Found:
    """What a source said; `lacking` by txid: the height it gives, and whether it could prove it."""

    scripts: int = 0
    transactions: int = 0
    unanswered: int = 0
    lacking: dict[Txid, tuple[int, str, bool]] = field(default_factory=dict)
    error: SourceError | None = None


def ask_again(config: Config, ledger: sqlite3.Connection) -> Verdict:
    """Ask each source for every history it may learn; it holds where one answered and none shows more.

    `Failure` where a source's URL cannot be read.
    """
    known = pins(ledger)
    try:
        sources = sources_of(config, os.environ, lambda name: FirstUse(known.get(name), lambda _key: None))
    except SecretProblem as error:
        raise Failure(ExitCode.USAGE, f"--online: {error}") from None
    scripts = recorded(ledger)
    found = asyncio.run(_ask_all(config, sources, scripts, ledger))
    lines = [line for source, one in zip(sources, found, strict=True) for line in _lines(source.name, one)]
    answered = any(one.error is None for one in found)
    return Verdict(lines, holds=answered and not any(one.lacking for one in found))


async def _ask_all(
    config: Config, sources: Sequence[AnySource], scripts: Sequence[Recorded], ledger: sqlite3.Connection
) -> list[_Found]:
    among = {treasury.name: treasury.sources for treasury in config.treasuries}

    def may_learn(source: str) -> list[Recorded]:
        allowed = {name for name, only in among.items() if only is None or source in only}
        return [script for script in scripts if script.treasury in allowed]

    return await asyncio.gather(*(_ask(source, may_learn(source.name), ledger) for source in sources))


async def _ask(source: AnySource, scripts: Sequence[Recorded], ledger: sqlite3.Connection) -> _Found:
    found = _Found()
    try:
        async with connected(source):
            with source.at_leisure():  # the daemon owes the same server
                for start in range(0, len(scripts), _BATCH):
                    async with asyncio.timeout(_SECONDS):
                        await _compare(source, scripts[start : start + _BATCH], found)
                await _prove(source, found, ledger)
    except TimeoutError:
        found.error = SourceError(f"no answer within {_SECONDS:g} s")
    except SourceError as error:
        found.error = error
    return found


async def _compare(source: AnySource, scripts: Sequence[Recorded], found: _Found) -> None:
    answer = await source.histories([script.scripthash for script in scripts])
    for script in scripts:
        history = answer.histories[script.scripthash]
        if isinstance(history, SourceError):
            found.unanswered += 1
            continue
        found.scripts += 1
        # what is higher, or in no block, is the daemon's to read
        claims = [(c.txid, c.height) for c in history if c.height is not None]
        judged = [(txid, height) for txid, height in claims if height <= script.complete_height]
        found.transactions += len(judged)
        found.lacking.update(
            (txid, (height, script.treasury, False)) for txid, height in judged if txid not in script.txids
        )


async def _prove(source: AnySource, found: _Found, ledger: sqlite3.Connection) -> None:
    """Mark what the source can prove by bytes and branch, under a header that is in the ledger."""
    asked = list(found.lacking.items())[:_MOST_PROVEN]
    if not asked:
        return
    async with asyncio.timeout(_SECONDS):
        raws = await source.transactions([txid for txid, _ in asked])
        branches = await source.branches([(txid, height) for txid, (height, _, _) in asked])
    for txid, (height, treasury, _) in asked:
        raw, branch, header = raws.get(txid), branches[txid], header_at(ledger, height)
        if raw is None or isinstance(raw, SourceError) or isinstance(branch, SourceError) or header is None:
            continue
        try:
            tx = parse_transaction(raw)
            check_branch(tx, branch.index, branch.siblings, parse_header(header).merkle_root)
        except Malformed:
            continue
        found.lacking[txid] = (height, treasury, tx.txid == txid)


def _lines(name: str, found: _Found) -> Iterator[str]:
    if found.error is not None:
        yield f"source {name}: not asked to the end: {found.error.reason}: {clean(str(found.error))}"
    else:
        refused = f"; of {found.unanswered} more it gives no history" if found.unanswered else ""
        yield (
            f"source {name}: {counted(found.scripts, 'script')}, "
            f"{counted(found.transactions, 'transaction')} in blocks, "
            f"{len(found.lacking)} of them not in the ledger{refused}"
        )
    for txid, (height, treasury, proven) in found.lacking.items():
        how = "proven" if proven else "by its word alone"
        yield f"lacking: {treasury}: transaction {txid} in block {height}, shown by {name}, {how}"
