"""The command line's side of the control socket: which daemon serves this state, and asking it."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from watcher.web.sockets import CONTROL_NAME, connect_unix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TIMEOUT_SECONDS: Final = 30.0
_PROBE_SECONDS: Final = 5.0
_MAX_ANSWER: Final = 64 * 1024 * 1024  # a page of 1,000 events of 20 kB, three times over
_CHUNK: Final = 65_536
_SYSTEM_RUNTIME: Final = Path("/run/treasury-watcher")


class DaemonError(Exception):
    """The daemon did not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body's value; DaemonError where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise DaemonError("the daemon's answer is not JSON") from error


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that was found to serve the state directory in question."""

    socket: Path

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> Reply:
        """Ask; DaemonError where there is no answer within half a minute."""
        return _ask(self.socket, "GET", _target(path, query), None, _TIMEOUT_SECONDS)

    def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Write; DaemonError where there is no answer within half a minute (it may be done all the same)."""
        return _ask(self.socket, "POST", path, json.dumps(body).encode(), _TIMEOUT_SECONDS)

    def stream(self, path: str, query: Mapping[str, str | int] | None = None) -> Iterator[bytes]:
        """A long answer in pieces; DaemonError where it is refused or ends before its end."""
        connection = _Connection(self.socket, _TIMEOUT_SECONDS)
        try:
            connection.request("GET", _target(path, query))
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise DaemonError(_detail(response.read(_CHUNK)))
            while piece := response.read(_CHUNK):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise DaemonError("the daemon's answer broke off; ask again") from error
        finally:
            connection.close()


def find_daemon(state_directory: Path, environ: Mapping[str, str]) -> Daemon | None:
    """The daemon that names this state directory, by whichever control socket; None where none runs.

    A socket nobody listens at, one that belongs to another state and one we may not open are passed by.
    """
    runtime = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    places = [Path(runtime)] if runtime else []
    state = state_directory.resolve()
    for place in (*places, state, _SYSTEM_RUNTIME):
        path = place / CONTROL_NAME
        try:
            reply = _ask(path, "GET", "/api/v1/status", None, _PROBE_SECONDS)
            named = reply.json().get("state_directory")
        except (DaemonError, AttributeError):
            continue
        if named == str(state):
            return Daemon(path)
    return None


def _target(path: str, query: Mapping[str, str | int] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _ask(path: Path, method: str, target: str, body: bytes | None, timeout: float) -> Reply:
    connection = _Connection(path, timeout)
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, target, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read(_MAX_ANSWER + 1)
    except (OSError, http.client.HTTPException) as error:
        raise DaemonError(f"no answer from the daemon: {type(error).__name__}") from error
    finally:
        connection.close()
    if len(answer) > _MAX_ANSWER:
        raise DaemonError("the daemon's answer is too large")
    return Reply(response.status, response.getheader("Content-Type", ""), answer)


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "the daemon refused"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._seconds = timeout

    def connect(self) -> None:
        """HTTP over the socket at the path."""
        self.sock = connect_unix(self._path, self._seconds)
