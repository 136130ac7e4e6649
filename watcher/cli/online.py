"""`watcher check --online`: what each configured source answers, and what it would learn."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.app.wiring import sources_of
from watcher.app.witnesses import quorum_of
from watcher.cli.failures import ExitCode, Failure
from watcher.config.credentials import SecretProblem
from watcher.config.presets import PRESETS
from watcher.config.urls import Url
from watcher.service.logging import clean
from watcher.service.numbers import counted
from watcher.sources.base import SourceError, Unavailable
from watcher.sources.dial import FirstUse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from watcher.bitcoin.types import ScriptHash
    from watcher.config.settings import Config, SourceConfig
    from watcher.observe.quorum import Quorum
    from watcher.sources.base import SourceTip
    from watcher.sources.health import SourceHealth
    from watcher.sources.kinds import AnySource

_SECONDS: Final = 20.0  # for everything that is asked of one source
_SAMPLE: Final = (
    14  # headers: an answer that no server holds back; ElectrumX holds smaller ones for up to a second
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to print, and whether each treasury has the sources that its quorum needs."""

    lines: Sequence[str]
    holds: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    tip: SourceTip
    seconds: float
    health: SourceHealth


class _FirstRing:
    """A doorbell that only tells how the first attempt to connect ended."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[SourceError | None] = asyncio.get_running_loop().create_future()

    def connected(self, _source: str) -> None:
        """It greeted us, and is of our network."""
        self._end(None)

    def disconnected(self, _source: str, why: SourceError) -> None:
        """It did not."""
        self._end(why)

    def tip_rang(self, _source: str) -> None:
        """Of no interest."""

    def script_rang(self, _source: str, _scripthash: ScriptHash) -> None:
        """Of no interest."""

    def _end(self, outcome: SourceError | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def ask(config: Config) -> Verdict:
    """Ask every source at once, each for 20 seconds at most; `Failure` where a URL cannot be read."""
    try:
        sources = sources_of(config, os.environ, _of_any_key)
    except SecretProblem as error:
        raise Failure(ExitCode.USAGE, f"--online: {error}") from None
    answers = asyncio.run(_ask_all(sources))
    quorum = quorum_of(config, sources)
    short = list(_short(config, quorum, answers))
    return Verdict((*_lines(config, quorum, sources, answers), *short), holds=not short)


def _of_any_key(_source: str) -> FirstUse:
    """Whether a key is the known one is the daemon's to say: it has the ledger."""
    return FirstUse(None, lambda _fingerprint: None)


async def _ask_all(sources: Sequence[AnySource]) -> dict[str, _Answer | SourceError]:
    answers = await asyncio.gather(*map(_ask, sources))
    return {source.name: answer for source, answer in zip(sources, answers, strict=True)}


@asynccontextmanager
async def connected(source: AnySource) -> AsyncIterator[None]:
    """A source that can be asked; raises its `SourceError` where the first attempt to reach it failed."""
    ring = _FirstRing()
    running = asyncio.create_task(source.run(ring))
    try:
        async with asyncio.timeout(_SECONDS):
            why = await ring.outcome
        if why is not None:
            raise why
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _ask(source: AnySource) -> _Answer | SourceError:
    try:
        async with asyncio.timeout(_SECONDS), connected(source):
            now = asyncio.get_running_loop().time
            began = now()
            await source.headers(0, _SAMPLE)
            return _Answer(await source.tip(), now() - began, source.health())
    except TimeoutError:
        return Unavailable(f"no answer within {_SECONDS:g} s")
    except SourceError as error:
        return error


def _lines(
    config: Config, quorum: Quorum, sources: Sequence[AnySource], answers: Mapping[str, _Answer | SourceError]
) -> Iterator[str]:
    by_name = {source.name: source for source in config.sources}
    for source in sources:
        match answers[source.name]:
            case _Answer() as answer:
                yield f"source {source.name}: {_answered(config, answer)}"
            case error:
                yield f"source {source.name}: {error.reason}: {clean(str(error))}"
        witness = quorum.witnesses[source.name]
        learns = [t for t in config.treasuries if witness.may_learn(t.name) and t.initial_scripts]
        scripts = sum(len(treasury.initial_scripts) for treasury in learns)
        named = f" of {', '.join(treasury.name for treasury in learns)}" if learns else ""
        yield f"  its operator ({witness.operator}) learns {counted(scripts, 'script')}{named}"
        bound = max(config.timing.reread, source.sweep_seconds(scripts))
        yield f"  a change that it does not announce is found within {bound:.0f} s"
        yield f"  limits: {_limits(by_name[source.name])}"


def _limits(source: SourceConfig) -> str:
    """What we ask at most, and what is publicly known; no protocol has a server tell its limits."""
    ours = [
        f"we ask at most {counted(budget.requests, 'time')} in {budget.seconds:g} s"
        for budget in source.budgets
    ]
    url = source.url.reveal() if isinstance(source.url, Url) else None
    public = [preset.limits for preset in PRESETS.values() if preset.url == url]
    return "; ".join((*ours, *public)) or "not known"


def _answered(config: Config, answer: _Answer) -> str:
    block, health = answer.tip.block, answer.health
    software = health.software or "no software named"
    return (
        f"answers: {config.network}, tip {block.height} {block.hash}, {software}, "
        f"protocol {health.protocol}, {answer.seconds * 1000:.0f} ms"
    )


def _short(config: Config, quorum: Quorum, answers: Mapping[str, _Answer | SourceError]) -> Iterator[str]:
    """The treasuries below their quorum, which is capped at the operators who may learn them."""
    for treasury in config.treasuries:
        among = quorum.may_learn(treasury.name)
        answered = [name for name in among if isinstance(answers[name], _Answer)]
        if not quorum.suffices(answered, among):
            yield (
                f"treasury {treasury.name}: below quorum: {quorum.independent(answered)} of "
                f"{quorum.required(among)} independent sources answer"
            )
