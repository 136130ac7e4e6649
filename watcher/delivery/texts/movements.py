"""What is said of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.delivery.texts.facts import btc, moment, signed_btc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.delivery.texts.facts import Facts, Told
    from watcher.delivery.texts.words import Words


def transaction_title(told: Told, words: Words) -> str:
    """Which way, how much, whose, and how far it has come."""
    what = words.say(
        "flows",
        told.flow,
        btc=btc(told.data.number("moved_sats") or 0),
        treasury=words.treasury(told.data.text("treasury")),
    )
    title = f"{what}: {words.state(told)}"
    return words.phrase("late_title", title=title) if told.data.is_set("detected_late") else title


def transaction_lines(told: Told, words: Words, listed: int) -> list[str]:
    """The body: what it means, the amounts, from where to where, how sure, what next."""
    data = told.data
    found: list[str | None] = [
        f"{_test_network(data, words)}{_meaning(told, words)}",
        words.line("instead", data.text("by")),
        words.line("reason", words.reason(told)),
        words.line("next", words.advice(told)),
        words.line("treasury", words.whose(data.text("treasury"))),
        words.line("amount", _amount(data, words)),
        *_from_and_to(told, words, listed),
        words.line("fee", None if (fee := data.number("fee_sats")) is None else btc(fee)),
        words.line("transaction", data.text("txid")),
        words.line("block", _block(data)),
        words.line("trust", _how_sure(told, words)),
        words.line("oldest", _oldest(told, words)),
        words.line("balance", _balance(data, words)),
        words.line("corrects", _corrects(data, words)),
        words.line("known", moment(told.at)),
        words.line("rules", ", ".join(data.texts("rules"))),
    ]
    return [line for line in found if line]


def _test_network(data: Facts, words: Words) -> str:
    network = data.text("network")
    return "" if network in {None, "mainnet"} else words.phrase("test_network", network=network)


def _meaning(told: Told, words: Words) -> str:
    data = told.data
    said = [words.say("meanings", told.type)]
    if told.type == "tx.unconfirmed":
        pending = data.part("delta_sats").number("pending")
        said.append(words.phrase("still_held" if pending else "not_held"))
    said += [
        words.phrase(phrase)
        for phrase, field in (
            ("mixed", "mixed"),
            ("first_spend", "first_spend"),
            ("late", "detected_late"),
            ("expected", "expected"),
        )
        if data.is_set(field)
    ]
    return " ".join(said)


def _amount(data: Facts, words: Words) -> str:
    amount = signed_btc(data.number("amount_sats") or 0)
    fiat = data.part("fiat")
    if fiat.text("amount") is None:
        return amount
    as_of = moment(fiat.text("as_of")) or "?"
    shown = {name: fiat.text(name) or "?" for name in ("amount", "currency", "rate")}
    return f"{amount} ({words.phrase('fiat', as_of=as_of, **shown)})"


def _from_and_to(told: Told, words: Words, listed: int) -> list[str]:
    data = told.data
    movements = data.parts("movements")
    paid = [m for m in movements if (m.number("amount_sats") or 0) < 0]
    received = [m for m in movements if (m.number("amount_sats") or 0) >= 0]
    lines: list[str] = []
    if told.flow == "inflow" and not data.parts("counterparties"):
        lines.append(f"{words.name('from')}: {words.phrase('payer')}")
    omitted = data.part("movements_omitted")
    more = (omitted.number("count") or 0, omitted.number("amount_sats") or 0)
    owed = (0, 0)
    if paid:
        lines += _list("from", paid, words, listed, more=more, own=True)
    if received:
        key = "to" if told.flow == "internal" else "received"
        lines += _list(key, received, words, listed, more=owed if paid else more, own=True)
    destinations = data.parts("destinations")
    if destinations:
        left_out = data.part("destinations_omitted")
        rest = (left_out.number("count") or 0, left_out.number("amount_sats") or 0)
        lines += _list("to", destinations, words, listed, more=rest, own=False)
    if others := data.parts("counterparties"):
        shown = [f"{words.treasury(o.text('treasury'))} {signed_btc(_sats(o))}" for o in others[:listed]]
        lines.append(f"{words.name('counterparties')}: {', '.join(shown)}")
    return lines


def _list(
    name: str, outputs: Sequence[Facts], words: Words, listed: int, *, more: tuple[int, int], own: bool
) -> list[str]:
    amount = signed_btc if own else btc
    lines = [f"{words.name(name)}:"]
    lines += [f"  {amount(_sats(o))}  {words.place(o, own=own)}" for o in outputs[:listed]]
    count = len(outputs[listed:]) + more[0]
    if count:
        rest = sum(_sats(o) for o in outputs[listed:]) + more[1]
        lines.append(f"  {words.phrase('more', count=count, btc=amount(rest))}")
    return lines


def _sats(output: Facts) -> int:
    return output.number("amount_sats") or 0


def _block(data: Facts) -> str | None:
    block = data.part("block")
    height = block.number("height")
    if height is None:
        return None
    time = moment(block.text("time"))
    return f"{height}, {time}" if time else str(height)


def _how_sure(told: Told, words: Words) -> str | None:
    trust = words.trust(told.data.text("trust"))
    names = ", ".join(told.data.texts("sources"))
    sources = words.phrase("sources", names=names) if names else ""
    confirmations = words.counted("confirmations", told.confirmations)
    return "; ".join(part for part in (trust, confirmations, sources) if part)


def _oldest(told: Told, words: Words) -> str | None:
    days = told.data.number("oldest_coin_days")
    return None if days is None else words.phrase("asleep", days=words.counted("days", days))


def _balance(data: Facts, words: Words) -> str | None:
    balance = data.part("balance_sats")
    confirmed, pending = balance.number("confirmed"), balance.number("pending")
    if confirmed is None or pending is None:
        return None
    return words.phrase("balance", confirmed=btc(confirmed), pending=signed_btc(pending))


def _corrects(data: Facts, words: Words) -> str | None:
    superseded = data.text("supersedes")
    return None if superseded is None else words.phrase("earlier", id=superseded)
