"""Which schema this program knows."""

from __future__ import annotations

from typing import Final

# Kept in `PRAGMA user_version`, to which the last migration sets it; a file with a higher one was written
# by a newer program and is refused.
VERSION: Final = 4
