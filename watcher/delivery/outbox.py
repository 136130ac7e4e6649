"""Sends what is committed: one lane for each endpoint, so that none waits for another.

Its laws:
- A delivery leaves the ledger's `pending` only by a recorded verdict; whatever ends the process
  earlier leaves it due again, with the same id and the same bytes.
- Attempts start in the order in which their deliveries fell due, which for first attempts is the log's;
  a sender for people may put an outflow first and fold what is alike (`watcher.delivery.queues`).
- Deliveries sent as one share the attempt and its verdict, each with a row and a schedule of its own.
- Memory is bounded by what is lent out, which a lane's queue limits, whatever waits.
- Verdicts that arrive during a commit, or shortly after it, share the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from watcher.core.outbox import Again, Attempt, Fate, Lease, Refused
from watcher.delivery.alertmanager import AlertmanagerSender
from watcher.delivery.queues import LEND
from watcher.delivery.schedule import MAX_THROTTLE, fate_of, throttle_of
from watcher.delivery.verdict import Delivered, Gone, Rejected, Retry, Verdict, outcome_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from watcher.delivery.endpoint import Group, Sender

# groups sent and not yet recorded at most, in a lane
UNRECORDED: Final = LEND
# after a commit: each costs a flush to disk, and what is told twice after a crash is dropped by its id
COMMIT_PAUSE_SECONDS: Final = 0.01
# of a large group, so many verdicts are one commit: the ledger has others to serve
RECORDED_AT_ONCE: Final = 512
# the ledger is looked at again at least this often, whatever was rung or computed (a clock may be set)
LOOK_SECONDS: Final = 60.0
# what holds is told again so often to whoever forgets what is not
REMIND_SECONDS: Final = 60.0
# a delivery whose lease ends before an attempt surely would is left to fall due again
LEASE_MARGIN_MS: Final = 30_000


class Store(Protocol):
    """Where deliveries wait; each method is one transaction."""

    async def recover(self) -> None:
        """Make due again what a process that is no more had in hand."""

    async def lease(self, endpoint: str, now_ms: int, limit: int) -> Lease:
        """Borrow what is due."""

    async def standing(self, endpoint: str, now_ms: int) -> Sequence[str]:
        """The bodies by which it was told of conditions that still hold."""

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Write down what became of them, in one commit."""


class Observer(Protocol):
    """Told of every attempt once it is recorded; `seconds` passed since the delivery was committed."""

    def __call__(self, endpoint: str, attempt: Attempt, seconds: float) -> None:
        """Count it."""


class Borrower(Protocol):
    """A lane, as whoever commits something for its endpoint sees it."""

    def room(self) -> int:
        """How many deliveries it would borrow now; may be asked from the ledger's thread."""

    def take(self, lease: Lease) -> None:
        """Send what was lent."""


async def until_set(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@dataclass(frozen=True, slots=True)
class Timing:
    """`now` gives seconds since 1970, `draw` a number in [0, 1) for the jitter of a retry.

    `wait` returns when the event is set or so many seconds of that same clock are over.
    """

    now: Callable[[], float]
    draw: Callable[[], float]
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = until_set


class Outbox:
    """Delivers to each endpoint by its sender."""

    def __init__(
        self, store: Store, senders: Mapping[str, Sender], *, timing: Timing, observer: Observer
    ) -> None:
        self._store = store
        self._timing = timing
        self._senders = senders
        self._recorder = _Recorder(store)
        shared = _Shared(store, self._recorder, timing, observer)
        self._lanes = {endpoint: _Lane(endpoint, sender, shared) for endpoint, sender in senders.items()}

    def ring(self, endpoint: str) -> None:
        """Something was committed for this endpoint; what is owed to one we have no sender for waits."""
        lane = self._lanes.get(endpoint)
        if lane is not None:
            lane.ring()

    def borrower(self, endpoint: str) -> Borrower | None:
        """Who borrows what is committed for this endpoint; None where we have no sender for it."""
        return self._lanes.get(endpoint)

    def ring_all(self) -> None:
        """Something may be due at any endpoint, those included that left the config: the clock was set."""
        for lane in self._lanes.values():
            lane.ring()

    def hold(self, endpoint: str) -> None:
        """Start nothing of what is borrowed for this endpoint: it falls due again when its lease ends.

        What is on its way is finished; nothing more is borrowed while the store lends nothing.
        """
        lane = self._lanes.get(endpoint)
        if lane is not None:
            lane.hold()

    def still_seconds(self) -> float:
        """For how long the lane that looked longest ago has not looked for what is due.

        More than a few times `LOOK_SECONDS` is a lane that does not get on.
        """
        return max((lane.still_seconds() for lane in self._lanes.values()), default=0.0)

    async def run(self) -> NoReturn:
        """Deliver, for ever; at most one `run` on a ledger at a time."""
        await self._store.recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run(), name="outbox recorder")
            for endpoint, lane in self._lanes.items():
                group.create_task(lane.run(), name=f"outbox {endpoint}")
            for endpoint, sender in self._senders.items():
                if isinstance(sender, AlertmanagerSender):
                    group.create_task(self._remind(endpoint, sender), name=f"reminder {endpoint}")
        raise AssertionError("a lane never returns")

    async def _remind(self, endpoint: str, sender: AlertmanagerSender) -> NoReturn:
        async def standing() -> Sequence[str]:
            return await self._store.standing(endpoint, int(self._timing.now() * 1000))

        never = asyncio.Event()
        while True:
            await sender.remind(standing)
            await self._timing.wait(never, REMIND_SECONDS)

    def halt(self) -> None:
        """Start nothing more, from now on."""
        for lane in self._lanes.values():
            lane.halt()

    async def stop(self, within: float) -> None:
        """Start nothing more and give running attempts that many seconds to be answered and recorded.

        To be called before `run` is cancelled; what is cut off falls due again at the next start.
        """
        self.halt()
        running = [task for lane in self._lanes.values() for task in lane.running()]
        if running:
            await asyncio.wait(running, timeout=within)


class _Recorder:
    """Records attempts; those that arrive during one commit, or shortly after it, share the next."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Sequence[Attempt], asyncio.Future[None]]] = []
        self._any = asyncio.Event()

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """Return when they are committed."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((attempts, done))
        self._any.set()
        await done

    async def run(self) -> NoReturn:
        while True:
            await self._any.wait()
            self._any.clear()
            batch, self._waiting = self._waiting, []
            await self._store.record([attempt for attempts, _ in batch for attempt in attempts])
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
            await asyncio.sleep(COMMIT_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Shared:
    store: Store
    recorder: _Recorder
    timing: Timing
    observer: Observer


class _Lane:
    """The deliveries of one endpoint, in order and at their times."""

    def __init__(self, endpoint: str, sender: Sender, shared: _Shared) -> None:
        self._endpoint = endpoint
        self._sender = sender
        self._store = shared.store
        self._recorder = shared.recorder
        self._timing = shared.timing
        self._observer = shared.observer
        self._bell = asyncio.Event()
        self._queue = sender.queue()
        self._running: set[asyncio.Task[None]] = set()
        self._sending = 0  # of those running; the others are answered and being recorded
        self._look_at = 0.0  # when the ledger may have something due, in seconds of `now`
        self._spare_until = 0.0  # nothing is sent before: the endpoint asked for it
        self._gone = False  # a 410 is being recorded
        self._stopping = False
        self._looked: float | None = None  # in seconds of the event loop; None before it runs

    def ring(self) -> None:
        self._look_at = 0.0
        self._bell.set()

    def room(self) -> int:
        # before it runs, what is lent is taken for what another process had in hand
        return self._queue.wants() if self._looked is not None and self._may_send() else 0

    def take(self, lease: Lease) -> None:
        self._add(lease, self._timing.now())
        self._bell.set()

    def hold(self) -> None:
        self._queue.clear()
        self.ring()

    def still_seconds(self) -> float:
        return 0.0 if self._looked is None else asyncio.get_running_loop().time() - self._looked

    def halt(self) -> None:
        self._stopping = True

    def running(self) -> set[asyncio.Task[None]]:
        return set(self._running)

    async def run(self) -> NoReturn:
        async with asyncio.TaskGroup() as group:
            while True:
                self._looked = asyncio.get_running_loop().time()
                self._bell.clear()
                await self._borrow()
                self._start(group)
                await self._timing.wait(self._bell, self._patience())
        raise AssertionError("a lane never returns")

    def _has_room(self) -> bool:
        return self._sending < self._queue.concurrent and len(self._running) < UNRECORDED

    def _may_send(self) -> bool:
        # a time further off than we ever set it comes from before the clock was set back
        spared = 0 < self._spare_until - self._timing.now() <= MAX_THROTTLE
        return not (self._stopping or self._gone or spared)

    async def _borrow(self) -> None:
        while (wanted := self._queue.wants()) > 0 and self._may_send():
            now = self._timing.now()
            if 0 < self._look_at - now <= LOOK_SECONDS:
                return
            # set before the ledger is read: a bell that rings meanwhile must not be forgotten
            self._look_at = math.inf
            lease = await self._store.lease(self._endpoint, int(now * 1000), wanted)
            self._add(lease, now)

    def _add(self, lease: Lease, now: float) -> None:
        self._queue.add(lease.deliveries)
        following = math.inf if lease.next_due_ms is None else lease.next_due_ms / 1000
        self._look_at = min(self._look_at, following, now + LOOK_SECONDS)

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        while self._has_room() and self._may_send():
            taken = self._queue.take()
            if taken is None:
                return
            now_ms = self._timing.now() * 1000
            group = tuple(each for each in taken if each.until_ms - LEASE_MARGIN_MS >= now_ms)
            if not group:
                continue
            self._sending += 1
            task = tasks.create_task(self._attempt(group))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._bell.set()

    def _patience(self) -> float:
        if self._stopping or self._gone or not self._has_room():
            return LOOK_SECONDS
        soonest = min(self._look_at, self._queue.ready_ms() / 1000)
        return min(max(max(soonest, self._spare_until) - self._timing.now(), 0.0), LOOK_SECONDS)

    async def _attempt(self, group: Group) -> None:
        began = self._timing.now()
        verdict = await self._sender.send(group)
        self._sending -= 1
        self._bell.set()
        ended = self._timing.now()  # before it began where the clock was set back meanwhile
        # one draw for all: what was sent as one and failed falls due as one
        draw = self._timing.draw()
        fates = [fate_of(verdict, each.attempts + 1, ended=ended, draw=draw) for each in group]
        if self._stopping and isinstance(verdict, Gone):
            # perhaps the config leads elsewhere now: whoever sends next asks there
            fates = [Again(int(ended * 1000))] * len(group)
        self._spare_until = max(self._spare_until, ended + throttle_of(verdict))
        refused = any(isinstance(fate, Refused) for fate in fates)
        self._gone = self._gone or refused
        attempts = _attempts(group, fates, verdict, began_ms=int(began * 1000), took=max(0.0, ended - began))
        for start in range(0, len(attempts), RECORDED_AT_ONCE):
            await self._recorder.record(attempts[start : start + RECORDED_AT_ONCE])
        if refused:
            # from here on the ledger lends nothing to it, until somebody asks for a redelivery
            self._queue.clear()
            self._gone = False
        again = [fate.due_ms for fate in fates if isinstance(fate, Again)]
        self._look_at = min([self._look_at, *(due_ms / 1000 for due_ms in again)])
        for delivery, attempt in zip(group, attempts, strict=True):
            self._observer(self._endpoint, attempt, max(0.0, ended - delivery.created_ms / 1000))


def _attempts(
    group: Group, fates: Sequence[Fate], verdict: Verdict, *, began_ms: int, took: float
) -> list[Attempt]:
    return [
        Attempt(
            delivery=delivery.id,
            at_ms=began_ms,
            took_ms=int(took * 1000),
            outcome=outcome_of(verdict),
            status=_status_of(verdict),
            fate=fate,
        )
        for delivery, fate in zip(group, fates, strict=True)
    ]


def _status_of(verdict: Verdict) -> int | None:
    match verdict:
        case Delivered(status=status) | Retry(status=status) | Rejected(status=status) | Gone(status=status):
            return status
