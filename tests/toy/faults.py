"""What a toy server does wrong: set at any time, in force from the next answer on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tests.toy.coding import Tx
    from watcher.bitcoin.types import Txid


class ToyError(Exception):
    """A JSON-RPC error: `error` as it goes over the wire, an object or (in electrs' forks) a string."""

    def __init__(self, error: Any) -> None:
        super().__init__(error)
        self.error = error


def error(code: int, message: str) -> ToyError:
    """The usual form."""
    return ToyError({"code": code, "message": message})


@dataclass(slots=True)
class Faults:
    """All off at first.

    `answers` replaces the honest result of a method; `errors` are given out once each; `tip_height`
    is where a frozen server stands still; `fakes` are in its mempool and in nobody else's; `batch_limit` is
    how many questions it takes in all batches under way together, as Fulcrum counts them; `waits_for` has
    methods that are answered when another one is asked, and not before.
    """

    omitted: set[Txid] = field(default_factory=set)
    fakes: dict[Txid, Tx] = field(default_factory=dict)
    tip_height: int | None = None
    forged_branches: bool = False
    silent_bells: bool = False
    stalled: bool = False
    deaf: bool = False
    refuses_batches: bool = False
    hangs_up_at_batches: bool = False
    batch_limit: int | None = None
    waits_for: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Callable[[list[Any], Any], Any]] = field(default_factory=dict)
    errors: dict[str, deque[ToyError]] = field(default_factory=dict)
