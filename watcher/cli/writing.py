"""What the commands that write have in common: only the running daemon can do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watcher.cli.failures import ExitCode, NoAnswer
from watcher.cli.from_daemon import value
from watcher.web.client import DaemonError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.cli.setup import Setup


def write(
    setup: Setup, path: str, body: Mapping[str, Any], *, absent: ExitCode = ExitCode.DOES_NOT_HOLD
) -> Any:
    """What the daemon answers; a `Failure` where none runs, where it refuses and where it is silent.

    `absent` is as `value` has it.
    """
    daemon = setup.daemon
    if daemon is None:
        raise setup.no_daemon()
    try:
        return value(daemon.post(path, body), absent=absent)
    except DaemonError as error:
        raise NoAnswer(str(error)) from None


def verdict_line(verdict: Mapping[str, Any]) -> str:
    """What came of a test message: `ops: delivered, 200, 35 ms`."""
    parts = [str(verdict["outcome"]).replace("_", " ")]
    if verdict.get("until"):
        parts.append(f"until {verdict['until']}")
    if verdict.get("status") is not None:
        parts.append(str(verdict["status"]))
    if verdict.get("took_ms") is not None:
        parts.append(f"{verdict['took_ms']} ms")
    return f"{verdict['endpoint']}: {', '.join(parts)}"
