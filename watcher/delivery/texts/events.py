"""What is said of every event that is about no transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from watcher.delivery.texts.facts import btc, clean, moment, signed_btc

if TYPE_CHECKING:
    from watcher.delivery.texts.facts import Facts, Told
    from watcher.delivery.texts.words import Words

# told in the title, in a line of their own, or of no use to a person
_TOLD_ELSEWHERE: Final = frozenset(
    {
        "id", "log", "sequence", "incident", "network", "treasury", "fiat", "rules", "severity", "step",
        "url", "delta_sats", "balance_sats", "supersedes", "reason", "condition", "first",
        "difference", "difference_omitted",
    }
)  # fmt: skip
_HOLDINGS: Final = frozenset(
    {"threshold_sats", "claimed_sats", "observed_sats", "max_sats"}
)  # no change: no sign
_SAYS: Final = frozenset({"exactly", "at_least", "at_most", "about"})
_MAX_DETAILS: Final = 20
_MAX_DEPTH: Final = 2


def event_title(told: Told, words: Words) -> str:
    """What happened, to whom or to what."""
    data = told.data
    scripts = data.number("scripts")
    balance = data.part("balance_sats").number("confirmed")
    return words.say(
        "titles",
        told.type,
        type=told.type or "?",
        treasury=words.treasury(data.text("treasury")),
        source=data.text("source") or "?",
        endpoint=data.text("endpoint") or "?",
        claim=data.text("claim") or "?",
        reason=words.reason(told) or "?",
        changes="; ".join(_changes(data, words, listed=3)) or "…",
        depth=data.number("depth") or "?",
        side=words.phrase("balance_above" if data.text("condition") == "balance_above" else "balance_below"),
        scripts="?" if scripts is None else words.counted("scripts", scripts),
        balance="?" if balance is None else btc(balance),
        delta=signed_btc(data.part("delta_sats").number("confirmed") or 0),
    )


def event_lines(told: Told, words: Words, listed: int) -> list[str]:
    """The body: what it means, what next, and every detail the event has."""
    data = told.data
    found = [
        words.say("meanings", told.type),
        *(f"  {change}" for change in _changes(data, words, listed)),
        words.line("next", words.advice(told)),
        words.line("treasury", words.whose(data.text("treasury"))),
        words.line("incident", data.text("incident") if told.type == "incident.noted" else None),
        words.line("reason", words.reason(told)),
        *_money(data, words),
        *_details(data, words, listed),
        words.line("network", data.text("network")),
        words.line("known", moment(told.at)),
        words.line("rules", ", ".join(data.texts("rules"))),
    ]
    return [line for line in found if line]


def _money(data: Facts, words: Words) -> list[str | None]:
    lines: list[str | None] = []
    for name, title, show in (("delta_sats", "delta_sats", signed_btc), ("balance_sats", "balance", btc)):
        sums = data.part(name)
        confirmed, pending = sums.number("confirmed"), sums.number("pending")
        if confirmed is not None and pending is not None:
            said = words.phrase("balance", confirmed=show(confirmed), pending=signed_btc(pending))
            lines.append(words.line(title, said))
    return lines


def _changes(data: Facts, words: Words, listed: int) -> list[str]:
    """What differs between two configs; what was taken away first."""
    found = []
    for each in data.parts("difference"):
        name = each.text("name", 64) or "?"
        what = words.say("changes", each.text("what") or "", name=name, what=name)
        change = each.text("change") or ""
        found.append((change in {"added", "changed"}, words.say("changes", change, what=what, name=what)))
    shown = [change for _, change in sorted(found, key=lambda pair: pair[0])]
    count = len(shown) + (data.part("difference_omitted").number("count") or 0)
    return shown if count <= listed else [*shown[:listed], f"… ({count})"]


def _details(data: Facts, words: Words, listed: int) -> list[str | None]:
    """Whatever else the event says, also what a later version has it say."""
    return [
        words.line(name, _shown(name, value, words, listed))
        for name, value in list(data.fields.items())[:_MAX_DETAILS]
        if name not in _TOLD_ELSEWHERE
    ]


def _shown(name: str, value: object, words: Words, listed: int, depth: int = 0) -> str | None:
    match value:
        case None:
            return None
        case int() if type(value) is int and name.endswith("_sats"):
            return btc(value) if name in _HOLDINGS else signed_btc(value)
        case Mapping() if depth < _MAX_DEPTH:
            parts = [(str(k), _shown(str(k), v, words, listed, depth + 1)) for k, v in value.items()]
            return ", ".join(f"{words.name(k)} {v}" for k, v in parts[:listed] if v is not None)
        case list() if depth < _MAX_DEPTH:
            shown = [_shown(name, each, words, listed, depth + 1) for each in value[:listed]]
            more = [f"… ({len(value)})"] if len(value) > listed else []
            return ", ".join([*(each for each in shown if each is not None), *more])
        case Mapping() | list():
            return "…"
        case _:
            return (
                words.phrase(f"says_{value}")
                if name == "says" and value in _SAYS
                else moment(clean(str(value)))
            )
