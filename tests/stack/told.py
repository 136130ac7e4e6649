"""One verified webhook as one line: its type and flow first, then what a person asks next."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

COIN: Final = 100_000_000
_SHORT: Final = 8  # characters of a hash that tell two of them apart on a screen
_GREEN, _RED, _YELLOW, _CYAN, _DIM, _PLAIN = "32", "31", "33", "36", "2", ""
_OF_A_FLOW: Final = {"inflow": _GREEN, "outflow": _RED, "internal": _PLAIN}
_CORRECTIONS: Final = frozenset({"tx.unconfirmed", "tx.replaced", "tx.dropped", "tx.conflicted"})


def btc(sats: int, sign: str = "") -> str:
    """The exact amount, eight decimals; `sign` "+" also marks what is not negative."""
    return f"{Decimal(sats) / COIN:{sign}.8f}"


def line(payload: Mapping[str, Any]) -> str:
    """At most 120 columns; what matters most comes first, so that a narrow screen may cut it."""
    kind, data = payload["type"], payload["data"]
    ident = data["id"][: len("evt_") + _SHORT]
    if kind.startswith("tx."):
        head = f"{kind} {data['flow']}"
        amount = f"{btc(data['amount_sats'], '+')} BTC"
        trust = data["trust"]
        money = f"{data['treasury']:5} {amount:>15}  {_balance(data)}"
        return f"{head:23} {money}  {trust:8} {_where(kind, data):14} {ident}"
    if kind == "watch.baselined":
        return f"{kind:23} {data['treasury']:5} {'':15}  {_balance(data)}  {'':8} {'':14} {ident}"
    if kind == "chain.reorganized":
        depth = data["depth"]
        what = (
            f"{depth} block{'' if depth == 1 else 's'} undone after block {data['fork']['height']}, "
            f"new tip {data['new_tip']['height']} {data['new_tip']['hash'][-_SHORT:]}"
        )
        return f"{kind:23} {what:79} {ident}"
    subject = data.get("treasury") or data.get("source") or data.get("endpoint") or ""
    return f"{kind:23} {subject:79} {ident}"


def _balance(data: Mapping[str, Any]) -> str:
    """The confirmed balance, and what is pending where something is; 31 columns."""
    balance = data["balance_sats"]
    if balance is None:
        return " " * 31
    pending = btc(balance["pending"], "+") if balance["pending"] else ""
    return f"balance {btc(balance['confirmed']):>11} {pending:>11}"


def _where(kind: str, data: Mapping[str, Any]) -> str:
    match kind:
        case "tx.confirmed" | "tx.final":
            return f"block {data['block']['height']}"
        case "tx.moved":
            return f"to block {data['block']['height']}"
        case "tx.unconfirmed":
            return f"left block {data['block']['height']}"
        case "tx.replaced" | "tx.conflicted":
            return f"by {data['by'][:_SHORT]}"
        case "tx.dropped":
            return str(data["reason"])
        case _:
            return "unconfirmed"


@dataclass(frozen=True, slots=True)
class Screen:
    """Where the demo speaks: the play is cut to `width` where that is given, and coloured where wanted."""

    out: TextIO
    width: int | None
    coloured: bool

    def webhook(self, payload: Mapping[str, Any]) -> None:
        """One verified webhook."""
        self._print(line(payload)[: self.width].rstrip(), _colour(payload))

    def deed(self, text: str) -> None:
        """What the player does."""
        self._print(f"-- {text}"[: self.width], _DIM)

    def say(self, text: str = "") -> None:
        """What is not part of the play."""
        self._print(text, _PLAIN)

    def _print(self, text: str, colour: str) -> None:
        shown = text[: self.width]
        print(
            f"\x1b[{colour}m{shown}\x1b[0m" if self.coloured and colour else shown, file=self.out, flush=True
        )


def screen(environ: Mapping[str, str]) -> Screen:
    """Standard output as it is; https://no-color.org is honoured."""
    terminal = sys.stdout.isatty()
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    width = shutil.get_terminal_size().columns if terminal else None
    return Screen(sys.stdout, width, coloured=terminal and not plain)


def _colour(payload: Mapping[str, Any]) -> str:
    if payload["type"] in _CORRECTIONS:
        return _YELLOW
    return _OF_A_FLOW.get(payload["data"].get("flow", ""), _CYAN)
