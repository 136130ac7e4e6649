"""What the language of the config has and this version does not do yet.

All of it is read and checked, so that a config says the same in every version; what would be silently
left undone is refused. A line goes from here when its engine comes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from watcher.config.document import Place
    from watcher.config.errors import ConfigError

ELECTRUM_KEYS: Final = frozenset({"headers_file"})  # an explorer sends them


def unsupported_keys(place: Place, given: AbstractSet[str], keys: frozenset[str]) -> Iterator[ConfigError]:
    """An error for each key given that nothing would act on."""
    for key in sorted(keys & given):
        yield place.at(key).error(f"{key} is not supported in this version")


def missing_extra(place: Place, kind: str) -> Iterator[ConfigError]:
    """An error where the kind needs a package that is not installed."""
    if kind == "apprise" and find_spec("apprise") is None:
        yield place.at("kind").error('kind "apprise" needs an extra: pip install "treasury-watcher[apprise]"')
