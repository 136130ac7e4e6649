"""A catalogue at work: words found by key, values put into them, names of what the operator watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watcher.delivery.texts.facts import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.delivery.texts.catalogue import Catalogue
    from watcher.delivery.texts.facts import Facts, Told

_MAX_NAME: Final = 60
_MAX_LABEL: Final = 80
_MAX_ADDRESS: Final = 128  # no address is longer than 90 characters
_SHOWN_SCRIPT: Final = 80
# events whose reason an operator gives
_WRITTEN: Final = frozenset({"config.changed", "endpoint.paused", "movement.expected"})


@dataclass(frozen=True, slots=True)
class Named:
    """A treasury's title, and by whom its addresses were named."""

    title: str
    attribution: str


class Words:
    """What a message is made of, in one language."""

    def __init__(self, catalogue: Catalogue, treasuries: Mapping[str, Named]) -> None:
        self._catalogue = catalogue
        self._treasuries = treasuries

    def severity(self, severity: str) -> str:
        """What stands before a title."""
        return self._catalogue.severities.get(severity, "")

    def say(self, table: str, key: str, **values: object) -> str:
        """The template of that key, or the table's own for anything else, with these values."""
        templates: Mapping[str, str] = getattr(self._catalogue, table)
        return (templates.get(key) or templates.get("", "")).format_map(values)

    def phrase(self, key: str, **values: object) -> str:
        """A phrase with these values."""
        return self._catalogue.phrases[key].format_map(values)

    def name(self, key: str) -> str:
        """The words before a value; a field we have no words for is named as it is."""
        return self._catalogue.names.get(key) or clean(key, 40).removesuffix("_sats").replace("_", " ")

    def line(self, key: str, value: str | None) -> str | None:
        """`Name: value`; None where there is no value."""
        return f"{self.name(key)}: {value}" if value else None

    def counted(self, what: str, n: int) -> str:
        """A number with its noun."""
        one, many = self._catalogue.counted[what]
        return (one if n == 1 else many).format(n=n)

    def state(self, told: Told) -> str:
        """How a title about a transaction ends."""
        confirmations = self.counted("confirmations", told.confirmations)
        return self.say("states", told.type, confirmations=confirmations)

    def advice(self, told: Told) -> str:
        """What to do next; empty: nothing."""
        advice = self._catalogue.advice
        if told.flow and told.data.is_set("expected"):
            return advice["expected"]
        keys = (f"{told.type}.{told.flow}", told.type, told.flow)
        template = next((advice[key] for key in keys if key in advice), "")
        return template.format_map({"incident": told.data.text("incident") or "INCIDENT"})

    def trust(self, word: str | None) -> str | None:
        """How sure a transaction is."""
        return None if word is None else self._catalogue.trust.get(word, word)

    def reason(self, told: Told) -> str | None:
        """Why, in words where we have any; what a person wrote stands as it is. None: nobody says."""
        word = told.data.text("reason")
        if word is None:
            return None
        if told.type in _WRITTEN:
            return self._catalogue.occasions.get(word, word)
        return self._catalogue.reasons.get(word, word.replace("_", " "))

    def treasury(self, name: str | None) -> str:
        """How a treasury is called in a sentence."""
        named = self._treasuries.get(name or "")
        return clean(named.title, _MAX_NAME) if named else (name or "?")

    def whose(self, name: str | None) -> str | None:
        """A treasury with its name and by whom its addresses were named."""
        if name is None:
            return None
        named = self._treasuries.get(name)
        if named is None:
            return name
        named_by = self._catalogue.attributions.get(named.attribution, named.attribution)
        return f"{clean(named.title)} ({name}; {named_by})"

    def place(self, output: Facts, *, own: bool) -> str:
        """A whole address with its label; what is not `own` and has none is marked as unknown."""
        address = output.text("address", _MAX_ADDRESS) or self._script(output)
        label = output.text("label", _MAX_LABEL)
        return f"{address} ({label or self.phrase('unlabelled' if own else 'unknown')})"

    def _script(self, output: Facts) -> str:
        script = output.text("script_pubkey", 2_000) or "?"
        if len(script) <= _SHOWN_SCRIPT:
            return self.phrase("no_address", script=script)
        shown = _SHOWN_SCRIPT // 2
        cut = script[:_SHOWN_SCRIPT]
        return self.phrase("cut_script", shown=shown, bytes=len(script) // 2, script=cut)
