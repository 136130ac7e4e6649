"""Whoever waits for the log to grow is woken by each commit that makes it grow, and by no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from watcher.bitcoin.networks import Network
from watcher.ledger.opening import create_or_open
from watcher.ledger.writer import Writer

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def tell(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO events (sequence, id, type, at_ms, body)"
        " SELECT coalesce(max(sequence), 0) + 1, hex(randomblob(8)), 'watcher.test', 0, '{}' FROM events"
    )


def tell_and_fail(connection: sqlite3.Connection) -> None:
    tell(connection)
    raise LookupError


async def test_the_bell_rings_when_the_log_has_grown_and_only_then(tmp_path: Path) -> None:
    writer = Writer(create_or_open(tmp_path, Network.REGTEST, 0))
    try:
        for _ in range(3):
            before = writer.bell.next
            await writer.run(lambda connection: connection.execute("UPDATE meta SET value = value"))
            with pytest.raises(LookupError):
                await writer.run(tell_and_fail)
            assert not before.is_set()
            await writer.run(tell)
            await asyncio.wait_for(before.wait(), 20)
            assert not writer.bell.next.is_set()
    finally:
        await writer.close()


async def test_a_commit_whose_waiter_has_gone_rings_too(tmp_path: Path) -> None:
    writer = Writer(create_or_open(tmp_path, Network.REGTEST, 0))
    try:
        bell = writer.bell.next
        waiter = asyncio.create_task(writer.run(tell))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait_for(bell.wait(), 20)
    finally:
        await writer.close()
