"""What changed between two configs, and what of it an insider would have wanted to go unnoticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from watcher.config.digest import config_digest, treasury_digest
from watcher.core.events import listed
from watcher.core.rules_types import EVERY_TREASURY, Severity, Topic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watcher.config.settings import Config
    from watcher.core.events import Data
    from watcher.core.rules_types import Rule

Outline = dict[str, Any]
"""A config as the ledger remembers it: digest, treasuries with theirs, rules, endpoints."""

_ROOM = 6_500  # bytes of a body that has 20 kB: 50 changes with long names
_LOUDNESS = [str(severity) for severity in Severity]


def outline(config: Config) -> Outline:
    """What is kept of a config to compare the next one with; no secret and no address is in it."""
    return {
        "digest": config_digest(config),
        "treasuries": {treasury.name: treasury_digest(treasury) for treasury in config.treasuries},
        "rules": {rule.name: _rule(rule) for rule in config.rules},
        "endpoints": sorted(endpoint.name for endpoint in config.endpoints),
    }


def difference(before: Outline, after: Outline) -> tuple[list[dict[str, str]], bool]:
    """The changes, and whether any of them lowers what people are told."""
    changes: list[dict[str, str]] = []
    quieter = False
    for what, word in (("treasuries", "treasury"), ("rules", "rule"), ("endpoints", "endpoint")):
        old, new = before[what], after[what]
        for name in sorted({*old, *new}):
            if name not in new:
                change = "removed"
            elif name not in old:
                change = "added"
            elif what == "endpoints" or old[name] == new[name]:
                continue
            else:
                change = "loosened" if what == "rules" and _looser(old[name], new[name]) else "changed"
            changes.append({"what": word, "name": name, "change": change})
            quieter |= change == "loosened" or (change == "removed" and what != "treasuries")
    return changes, quieter


def told_difference(changes: Sequence[Mapping[str, str]]) -> Data:
    """What an event says of the changes: what takes something away first, the rest as a count."""
    first = sorted(changes, key=lambda change: change["change"] in {"added", "changed"})
    told = listed(first, _ROOM)
    omitted = len(first) - len(told)
    return {"difference": told} | ({"difference_omitted": {"count": omitted}} if omitted else {})


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "on": sorted(map(str, rule.on)),
        "treasuries": sorted(rule.treasuries),
        "min_sats": rule.min_sats,
        "at": sorted(map(str, rule.at)),
        "severity": str(rule.severity),
        "send_to": sorted(rule.send_to),
        "rest": json.loads(json.dumps([rule.dormant_days, rule.btc_sats, rule.for_seconds])),
    }


def _looser(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Speaks of less, later, more quietly or to fewer."""
    fewer = any(
        set(old[key]) - set(new[key])
        for key in ("on", "at", "send_to", "treasuries")
        if not (key == "treasuries" and EVERY_TREASURY in new[key])
    )
    quieter = _LOUDNESS.index(new["severity"]) < _LOUDNESS.index(old["severity"])
    return fewer or quieter or new["min_sats"] > old["min_sats"] or _farther(old, new)


def _farther(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Its limits are harder to reach, or it waits longer."""
    old_days, old_limit, old_wait = old["rest"]
    new_days, new_limit, new_wait = new["rest"]
    days = None not in {old_days, new_days} and new_days > old_days
    limit = None not in {old_limit, new_limit} and (
        (Topic.BALANCE_BELOW in old["on"] and new_limit < old_limit)
        or (Topic.BALANCE_ABOVE in old["on"] and new_limit > old_limit)
    )
    return bool(days or limit or new_wait > old_wait)
