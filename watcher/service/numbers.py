"""Numbers with their nouns, as the log, systemd and the terminal say them."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """`1 script`, `2 scripts`, `2 addresses`, `2 treasuries`."""
    if n == 1:
        return f"1 {noun}"
    if noun.endswith("s"):
        return f"{n} {noun}es"
    return f"{n} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{n} {noun}s"
