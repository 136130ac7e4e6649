"""The page's words: a text by its key, in one of the languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from watcher.web.page.words_en import ENGLISH
from watcher.web.page.words_es import SPANISH

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH, "es": SPANISH}


@dataclass(frozen=True, slots=True)
class Words:
    """One language; `lang` is the page's."""

    lang: str

    def __call__(self, key: str, **values: object) -> str:
        """The text with these values put in; with one that is markup it is markup, the others escaped."""
        text = CATALOGUES[self.lang][key]
        if any(isinstance(value, Markup) for value in values.values()):
            text = Markup(text)  # noqa: S704 - the catalogues are ours
        return text.format_map(values)

    def has(self, key: str) -> bool:
        """Whether there is a text of that key."""
        return key in CATALOGUES[self.lang]

    def word(self, prefix: str, word: str) -> str:
        """A word of a closed list that may grow: as it stands where there is no text for it yet."""
        key = f"{prefix}{word}"
        return self(key) if self.has(key) else word.replace("_", " ")

    def span(self, seconds: float) -> str:
        """About so long, in the unit that fits."""
        for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
            if seconds >= 1.5 * length:
                return self(f"about_{unit}", n=round(seconds / length))
        return self("about_a_minute")

    def scripts(self, n: int) -> str:
        """So many addresses."""
        return self("scripts_one") if n == 1 else self("scripts_many", n=n)
