"""A self-hosted monitor for bitcoin treasuries."""

from typing import Final

__version__: Final = "0.1.0"
