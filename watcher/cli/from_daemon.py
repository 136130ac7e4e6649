"""Records by the word of the running daemon, over its control socket."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from watcher.cli.failures import ExitCode, Failure, NoAnswer
from watcher.cli.records import PAGE, EventsPage, Span
from watcher.config.errors import nearest
from watcher.web.client import DaemonError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watcher.web.client import Daemon, Reply


@dataclass(frozen=True, slots=True)
class DaemonRecords:
    """Asks page by page; NoAnswer where there is none."""

    daemon: Daemon

    def status(self) -> Mapping[str, Any]:
        """As the daemon tells it."""
        return {"running": True, **self._get("/api/v1/status")}

    def events(self, after: str | None) -> EventsPage:
        """A page; a cursor of another log does not hold, one beyond the end is a mistake."""
        query: dict[str, str | int] = {"limit": PAGE} if after is None else {"limit": PAGE, "after": after}
        page = self._get("/api/v1/events", query)
        return EventsPage(page["events"], page["next"])

    def history(self, treasury: str, span: Span) -> Iterator[Mapping[str, Any]]:
        """Page by page."""
        query: dict[str, str | int] = {"limit": PAGE, **_query(span)}
        while True:
            page = self._get(self._history(treasury), query)
            yield from page["rows"]
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def history_csv(self, treasury: str, span: Span) -> Iterator[str]:
        """The daemon's own CSV, streamed; it breaks off where the chain changed meanwhile."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for piece in self.daemon.stream(self._history(treasury), {"format": "csv", **_query(span)}):
                yield decoder.decode(piece)
        except DaemonError as error:
            raise NoAnswer(str(error)) from None

    def deliveries(self, state: str | None) -> Iterator[Mapping[str, Any]]:
        """Page by page, all of them."""
        query: dict[str, str | int] = {"limit": PAGE} if state is None else {"limit": PAGE, "state": state}
        while True:
            page = self._get("/api/v1/deliveries", query)
            yield from page["deliveries"]
            if page["next"] is None:
                return
            query["before"] = page["next"]

    def _history(self, treasury: str) -> str:
        """Where a treasury's history is, once it is known to be one."""
        names = [row["name"] for row in self._get("/api/v1/treasuries")["treasuries"]]
        if treasury not in names:
            raise no_treasury(treasury, names)
        return f"/api/v1/treasuries/{quote(treasury, safe='')}/history"

    def _get(self, path: str, query: Mapping[str, str | int] | None = None) -> Any:
        try:
            return value(self.daemon.get(path, query))
        except DaemonError as error:
            raise NoAnswer(str(error)) from None


def value(reply: Reply, *, absent: ExitCode = ExitCode.DOES_NOT_HOLD) -> Any:
    """What the daemon says; a refusal is the `Failure` it stands for.

    `absent` is how to end where there is nothing of the name that was given: USAGE for a name that stands in
    the config, since it is mistyped then.
    """
    answer = reply.json()
    match reply.status:
        case status if status < HTTPStatus.BAD_REQUEST:
            return answer
        case HTTPStatus.BAD_REQUEST:
            raise Failure(ExitCode.USAGE, str(answer["detail"]))
        case HTTPStatus.NOT_FOUND:
            raise Failure(absent, str(answer["detail"]))
        case HTTPStatus.GONE:
            raise Failure(ExitCode.DOES_NOT_HOLD, str(answer["detail"]))
        case status:
            raise NoAnswer(f"the daemon could not answer ({status}): {answer.get('detail', '')}")


def no_treasury(name: str, known: list[str]) -> Failure:
    """A treasury that is not on record, and the one that may be meant."""
    return Failure(ExitCode.USAGE, f"no treasury {name[:100]!a} on record{nearest(name, known)}")


def _query(span: Span) -> dict[str, str]:
    named = {"since": span.since, "until": span.until}
    return {name: text for name, text in named.items() if text is not None}
