"""The values a config is written in, each read strictly: durations, amounts, budgets, names, instants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import MAX_SATS

if TYPE_CHECKING:
    from watcher.bitcoin.types import Sats

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?", re.ASCII
)
_BTC = re.compile(r"(\d{1,8})(?:\.(\d{1,8}))?", re.ASCII)
_BUDGET = re.compile(r"(\d{1,9})/(s|m|h|d)", re.ASCII)
_TREASURY = re.compile(r"[a-z0-9-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_MOST_TEXT = 500  # a label or a title; longer is a mistake of quoting
_MOST_HEIGHT = 500_000_000  # Bitcoin's own bound between a height and a time (LOCKTIME_THRESHOLD)
MOST_SECONDS = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `requests` requests in any `seconds` seconds."""

    requests: int
    seconds: float


def duration(value: object) -> float:
    """Seconds of a text such as 60s, 5m, 2h30m or 7d."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError('a duration is written "60s", "5m", "2h30m" or "7d"')
    seconds = sum(
        int(count) * unit for count, unit in zip(found.groups(), _UNITS.values(), strict=True) if count
    )
    if seconds > MOST_SECONDS:
        raise ValueError("a duration is at most ten years")
    return seconds


def some_duration(value: object) -> float:
    """Like `duration`, and not zero."""
    seconds = duration(value)
    if not seconds:
        raise ValueError("must be longer than 0s")
    return seconds


def sats_of_btc(value: object) -> Sats:
    """Satoshis of an exact decimal text or an integer, both in bitcoin."""
    if type(value) is float:
        raise ValueError('a float does not hold an amount exactly: write it in quotes, "0.1"')
    if type(value) is int and 0 <= value <= MAX_SATS // 100_000_000:
        return value * 100_000_000
    found = _BTC.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('an amount in bitcoin is a decimal in quotes, "0.00012345", with at most 8 places')
    sats = int(found.group(1)) * 100_000_000 + int((found.group(2) or "").ljust(8, "0"))
    if sats > MAX_SATS:
        raise ValueError("more than the 21 million bitcoin there can be")
    return sats


def budgets(value: object) -> tuple[Budget, ...]:
    """One `"700/h"` or a list of several that hold at once."""
    listed = value if isinstance(value, list) else [value]
    found = [_BUDGET.fullmatch(item) if isinstance(item, str) else None for item in listed[:8]]
    if not listed or len(listed) > 8 or not all(found):
        raise ValueError('a budget is requests in a time, "10/s", "700/h", or a list of at most 8 of them')
    made = tuple(Budget(int(one.group(1)), _UNITS[one.group(2)]) for one in found if one)
    if not all(budget.requests for budget in made):
        raise ValueError("a budget of 0 requests asks nothing: leave the source out")
    return made


def treasury_name(value: object) -> str:
    """A treasury's name: it is a label, a part of URLs and of file names."""
    if not isinstance(value, str) or not _TREASURY.fullmatch(value):
        raise ValueError("a treasury's name has 1 to 64 of a-z, 0-9 and -")
    return value


def plain_name(value: object) -> str:
    """The name of a source, rule, endpoint or claim."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("a name has 1 to 64 of A-Z, a-z, 0-9, -, _ and ., the last not at its start")
    return value


def plain_text(value: object) -> str:
    """One line of text for people: at most 500 characters, none of them a control character."""
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise ValueError(f"must be a text in quotes of at most {_MOST_TEXT} characters")
    if not value.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return value


def addressees(value: object) -> tuple[str, ...]:
    """One mail address, or a list of at most 50; whether they are any is not looked at here."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not 1 <= len(given) <= 50:
        raise ValueError("must be an address in quotes, or a list of 1 to 50 of them")
    return tuple(plain_text(each) for each in given)


def membership(value: object) -> int | datetime:
    """A block height, or a UTC instant of which a date is the first moment; as TOML or CSV write them."""
    if isinstance(value, str):
        value = _instant_or_height(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("an instant needs its zone: 2025-07-18T00:00:00Z")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if type(value) is int and 0 <= value < _MOST_HEIGHT:
        return value
    raise ValueError("must be a block height, a date or an instant such as 2025-07-18T00:00:00Z")


def not_after(end: int | datetime | None, start: int | datetime | None) -> bool:
    """Whether nothing lies between the two; a height and an instant cannot be compared."""
    match end, start:
        case int(), int():
            return end <= start
        case datetime(), datetime():
            return end <= start
        case _:
            return False


def day(value: object) -> date:
    """A calendar date; as TOML or CSV write it."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("must be a date such as 2025-07-18")


def _instant_or_height(text: str) -> object:
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return text


def network(value: object) -> Network:
    """One of the five networks by its name."""
    if isinstance(value, str) and value in set(Network):
        return Network(value)
    raise ValueError(f"must be one of {', '.join(Network)}")


def currency(value: object) -> str:
    """A currency by its three letters, ISO 4217."""
    if isinstance(value, str) and re.fullmatch("[A-Z]{3}", value):
        return value
    raise ValueError('must be three capital letters, such as "USD"')


def price(value: object) -> str:
    """What a bitcoin costs: an exact decimal text or an integer."""
    if type(value) is int and 0 <= value < 10**12:
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,8})?", value):
        return value
    raise ValueError('must be a decimal in quotes, "90244.50", with at most 8 places, or an integer')


def chat(value: object) -> str:
    """A Telegram chat: its number, which may be negative, or its @name."""
    if type(value) is int and abs(value) < 2**53:
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"@[A-Za-z0-9_]{1,64}|-?[0-9]{1,16}", value):
        return value
    raise ValueError("must be a chat's number or its @name")
