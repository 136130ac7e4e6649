"""A delivery's stored body, read for display: text from outside cleaned and bounded, numbers exact.

Reading never fails: what is absent or of another form than expected is None, and the message says less.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats

MAX_TEXT: Final = 200
_COIN: Final = 100_000_000
# controls, format characters (bidi marks among them), surrogates, unassigned, line and paragraph separators
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One visible line of at most `limit` characters; what is cut is cut at the end and marked."""
    visible = "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in text[: 4 * limit])
    line = " ".join(visible.split())
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 1]}…"


def btc(sats: Sats) -> str:
    """The exact amount, eight decimals, without a sign for the direction: `0.05000000 BTC`."""
    coins, rest = divmod(abs(sats), _COIN)
    return f"{coins}.{rest:08d} BTC"


def signed_btc(sats: Sats) -> str:
    """The exact amount with its sign."""
    return f"{'-' if sats < 0 else '+'}{btc(sats)}"


def moment(text: str | None) -> str | None:
    """`2026-11-24 10:00:00 UTC` for an RFC 3339 instant in UTC; anything else as it stands."""
    if text is None or len(text) < 20 or text[10] != "T" or text[-1] != "Z":
        return text
    return f"{text[:10]} {text[11:19]} UTC"


@dataclass(frozen=True, slots=True)
class Facts:
    """Fields of a JSON object, by name."""

    fields: Mapping[str, object]

    def text(self, name: str, limit: int = MAX_TEXT) -> str | None:
        """A text, cleaned; None: there is none, or it shows nothing."""
        value = self.fields.get(name)
        return (clean(value, limit) or None) if isinstance(value, str) else None

    def number(self, name: str) -> int | None:
        """A whole number."""
        value = self.fields.get(name)
        return value if type(value) is int else None

    def is_set(self, name: str) -> bool:
        """Whether it says true."""
        return self.fields.get(name) is True

    def part(self, name: str) -> Facts:
        """An object within; empty where there is none."""
        value = self.fields.get(name)
        return Facts(value if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> tuple[Facts, ...]:
        """The objects of a list."""
        value = self.fields.get(name)
        return tuple(Facts(v) for v in value if isinstance(v, Mapping)) if isinstance(value, list) else ()

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of a list, cleaned, the first 20."""
        value = self.fields.get(name)
        return (
            tuple(clean(v, 64) for v in value[:20] if isinstance(v, str)) if isinstance(value, list) else ()
        )


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery: the event's type, when the watcher knew of it, and its data."""

    type: str
    at: str
    data: Facts

    @property
    def flow(self) -> str:
        """Of a transaction; empty for every other event."""
        return self.data.text("flow") or ""

    @property
    def confirmations(self) -> int:
        """That this delivery tells of: a rung without an event of its own has its number as the step."""
        step = self.data.text("step") or ""
        return int(step) if step.isdecimal() else self.data.number("confirmations") or 0

    @property
    def severity(self) -> str:
        """How loudly the rules want it told."""
        return self.data.text("severity") or "info"


def told_of(body: str) -> Told:
    """What a stored body says."""
    content = json.loads(body)
    whole = Facts(content if isinstance(content, dict) else {})
    return Told(whole.text("type") or "", whole.text("timestamp") or "", whole.part("data"))
