"""What the language of the config has, and nothing here would act on: it is refused, and not left undone."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watcher.config.document import Place
    from watcher.config.errors import ConfigError


def missing_extra(place: Place, kind: str) -> Iterator[ConfigError]:
    """An error where the kind needs a package that is not installed."""
    if kind == "apprise" and find_spec("apprise") is None:
        yield place.at("kind").error('kind "apprise" needs an extra: pip install "treasury-watcher[apprise]"')
