"""`make demo`: the whole pipe on a private chain with real parts, told on the screen as it happens.

`DEMO_SECONDS=60` ends it by itself, counted from when all is up; Ctrl-C and SIGTERM end it at any time.
Exit code 0: it ended as asked and everything agreed; 1: a part failed or something did not agree, and a
line says what; 2: usage.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.stack import summary
from tests.stack.bitcoind import RpcError
from tests.stack.cast import Cast, CastError, assemble
from tests.stack.chain import NotEnoughError
from tests.stack.player import FINALITY, KINDS, Player, PlayError
from tests.stack.processes import ChildError
from tests.stack.told import Screen, screen

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.stack.receiver import Received, Receiver

# For the act that is on, then for the last words: each takes a second or two where nothing else works.
_ACT_SECONDS: Final = 15.0
_END_SECONDS: Final = 60.0
_FAILED, _USAGE = 1, 2


def main() -> int:
    """Run the demo; its exit code."""
    show = screen(os.environ)
    try:
        seconds = _seconds(os.environ.get("DEMO_SECONDS", ""))
    except ValueError:
        return _fail("DEMO_SECONDS is a number of seconds, as in DEMO_SECONDS=60 make demo", _USAGE)
    try:
        return asyncio.run(_demo(show, seconds))
    except BrokenPipeError:
        # Whoever read has seen enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (CastError, PlayError, ChildError, RpcError, NotEnoughError) as failure:
        return _fail(_in_a_line(failure))
    except (OSError, http.client.HTTPException) as failure:  # TimeoutError too
        return _fail(_in_a_line(failure))


def _fail(why: str, code: int = _FAILED) -> int:
    print(f"demo: {why}", file=sys.stderr)
    return code


def _in_a_line(failure: Exception) -> str:
    """The first line says what failed, the last one the last word of its log."""
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]}: {lines[-1]}"


def _seconds(text: str) -> float | None:
    """How long to play; None: until told to end."""
    if not text:
        return None
    seconds = float(text)
    if not 0 < seconds < 1e7:
        raise ValueError(text)
    return seconds


async def _demo(show: Screen, seconds: float | None) -> int:
    with _signals() as told_to_end, tempfile.TemporaryDirectory(prefix="treasury-watcher-demo-") as scratch:
        async with AsyncExitStack() as stack:
            began = time.monotonic()
            cast = await _unless(told_to_end, assemble(stack, Path(scratch), show))
            if cast is None:
                show.say("ended before all was up")
                return 0
            _introduce(show, cast.daemon.url, time.monotonic() - began, seconds)
            await _play(show, cast, told_to_end, seconds)
            try:
                async with asyncio.timeout(_END_SECONDS):
                    agreed = await summary.tell(show, cast.daemon, cast.stage)
            except TimeoutError:
                return _fail(f"the last words did not come within {_END_SECONDS:g} s")
        return 0 if agreed else _fail("not everything agreed, see above")


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Set by the first signal that asks for the end; those that follow change nothing."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, told.set)
    yield told


async def _unless(told_to_end: asyncio.Event, work: Coroutine[Any, Any, Cast]) -> Cast | None:
    """What `work` returns, or None when the end is asked for before."""
    working, ending = asyncio.create_task(work), asyncio.create_task(told_to_end.wait())
    await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    if working.done():
        return await working
    working.cancel()
    await asyncio.wait({working})
    return None


def _introduce(show: Screen, url: str, took: float, seconds: float | None) -> None:
    end = "Ctrl-C ends it." if seconds is None else f"It ends after {seconds:g} s, or by Ctrl-C."
    show.say(f"all is up after {took:.0f} s")
    show.say()
    for name, path in (("page", "/"), ("metrics", "/metrics"), ("events", "/api/v1/events")):
        show.say(f"  {name:8} {url}{path}")
    show.say(
        f"""
Two treasuries, alpha and beta, of {len(KINDS)} addresses each. A line that begins with
-- is what happens on the chain. Every other line is a webhook whose signature
was verified: type and flow, treasury, amount, confirmed balance and what is
pending, trust, where the transaction is, and the first digits of the event's
id. "final" means {FINALITY} blocks here. {end}
"""
    )


async def _play(show: Screen, cast: Cast, told_to_end: asyncio.Event, seconds: float | None) -> None:
    """Until the end is asked for or the time is over; raises what failed."""
    player = Player(cast.stage, show, random.Random())
    playing = asyncio.create_task(player.run())
    watching = asyncio.create_task(cast.watched())
    telling = asyncio.create_task(_tell_webhooks(show, cast.stage.receiver))
    ending = asyncio.create_task(told_to_end.wait())
    tasks = (watching, telling, playing, ending)
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            await asyncio.wait([watching], timeout=0.5)  # the end of a process explains why the play failed
        player.stop()
        # nothing of the act is still to come when a part of it has ended
        await asyncio.wait([playing, watching], timeout=_ACT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _tell_webhooks(show: Screen, receiver: Receiver) -> None:
    shown = 0

    def more(_: Received) -> bool:
        return len(receiver.verified) > shown

    while True:
        await receiver.wait_for(more, within=1e7)
        for one in receiver.verified[shown:]:
            if one.payload is not None:
                show.webhook(one.payload)
            shown += 1


if __name__ == "__main__":
    sys.exit(main())
