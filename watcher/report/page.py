"""The report as one HTML file that needs nothing else: no script, no picture, nothing from outside."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Final

from watcher.core.instants import rfc3339_seconds
from watcher.delivery.texts.facts import clean
from watcher.report.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from watcher.bitcoin.types import Sats
    from watcher.ledger.evidence import Evidence, Proof, Source
    from watcher.report.claims import Judged

_NAMED: Final = 3  # publishers named in the line that says whose it is
_COIN: Final = 100_000_000
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
:root{color-scheme:light dark;--line:#c3c8d0;--soft:#5a6472;--bad:#b3261e;--good:#17713a}
@media(prefers-color-scheme:dark){:root{--line:#3d4552;--soft:#aab3c0;--bad:#ff8a80;--good:#5bd28a}}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
body{overflow-wrap:anywhere}time{white-space:nowrap}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}
.soft,footer,th{color:var(--soft)}.balance{font-size:clamp(1.6rem,7vw,2.4rem);font-weight:600;margin:1rem 0 0}
dt{font-weight:600}dd{margin:0 0 .5rem}.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:46rem;font-size:.9rem;overflow-wrap:break-word}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em;overflow-wrap:anywhere}.mismatched{color:var(--bad)}.holds{color:var(--good)}
footer{margin:3rem 0;font-size:.85rem}
@media print{body{max-width:none;margin:0}}
"""


def report(evidence: Evidence, claims: Sequence[Judged], *, lang: str, version: str) -> str:
    """The whole file; the same text for the same evidence and claims."""
    return _Report(evidence, claims, WORDS[lang], lang, version).html()


class _Report:
    def __init__(
        self,
        evidence: Evidence,
        claims: Sequence[Judged],
        words: Mapping[str, str],
        lang: str,
        version: str,
    ) -> None:
        self._evidence = evidence
        self._claims = claims
        self._words = words
        self._lang = lang
        self._version = version

    def html(self) -> str:
        title = _text(self._evidence.title)
        return "\n".join(
            [
                f'<!doctype html>\n<html lang="{self._lang}">\n<head>\n<meta charset="utf-8">',
                f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                f"<title>{title}, {self._when()}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
                *self._head(title),
                *self._section("claims", list(self._claim_rows())),
                *self._section("transactions", list(map(self._transaction, self._evidence.transactions))),
                *self._section("addresses", list(map(self._address, self._sorted_addresses()))),
                *self._paragraph("check", command="<code>python3 -I verify.py</code>"),
                *self._paragraph("words"),
                "</main>",
                f"<footer><p>{self._footer()}</p></footer>\n</body>\n</html>\n",
            ]
        )

    def _say(self, key: str, **values: object) -> str:
        return escape(self._words[key], quote=False).format_map(values)

    def _when(self) -> str:
        evidence = self._evidence
        if evidence.day is None:
            return self._say("at_block", height=evidence.height)
        return self._say("at_day", height=evidence.height, day=evidence.day.isoformat())

    def _head(self, title: str) -> Iterator[str]:
        evidence = self._evidence
        yield f'<p class="soft">{self._say("heading")}</p>\n<h1><bdi>{title}</bdi></h1>'
        yield f'<p class="soft">{_begun(self._attribution())}</p>'
        yield f'<p class="balance">{_btc(evidence.balance)} BTC</p>\n<p>{_begun(self._when())}.'
        if evidence.hash is not None and evidence.time is not None:
            time = _time(rfc3339_seconds(evidence.time))
            yield self._say("block", hash=f"<code>{evidence.hash}</code>", time=time) + "."
        yield "</p>\n<dl>"
        yield from self._line("chain", self._chain())
        yield from self._line("complete", self._complete())
        yield from self._line("whose", self._whose())
        yield "</dl>"

    def _line(self, key: str, text: str) -> Iterator[str]:
        yield f"<dt>{self._say(key)}</dt>\n<dd>{text}</dd>"

    def _attribution(self) -> str:
        return self._say(f"attribution.{self._evidence.attribution}")

    def _chain(self) -> str:
        count = len(self._evidence.transactions)
        said = self._say("chain_one") if count == 1 else self._say("chain_text", n=count)
        if self._evidence.unexplained:
            said += " " + self._say("unexplained", btc=_btc(self._evidence.unexplained))
        return said

    def _complete(self) -> str:
        complete = self._evidence.complete
        if complete is None or not complete.sources:
            return self._say("complete_past")
        sources = ", ".join(f"<bdi>{_text(source)}</bdi>" for source in complete.sources)
        return self._say("complete_text", sources=sources, height=complete.height)

    def _whose(self) -> str:
        publishers = Counter(one.published_by for one in self._evidence.addresses if one.published_by)
        if not publishers:
            return self._say("whose_unknown", attribution=_begun(self._attribution()))
        named = [f"<bdi>{_text(by)}</bdi>" for by, _ in publishers.most_common(_NAMED)]
        more = ["…"] if len(publishers) > _NAMED else []
        count = publishers.total()
        scripts = self._say("scripts_one") if count == 1 else self._say("scripts", n=count)
        by = "; ".join(named + more)
        return self._say("whose_text", scripts=scripts, by=by, attribution=self._attribution())

    def _section(self, key: str, rows: Sequence[str]) -> Iterator[str]:
        if not rows and key == "claims":
            return
        yield f"<h2>{self._say(key)}</h2>"
        if not rows:
            yield f"<p>{self._say('none')}</p>"
            return
        heads = self._words[f"{key}_head"].split("|")
        cells = "".join(
            f'<th scope="col"{_number(head)}>{escape(head)}</th>' if head else "<td></td>" for head in heads
        )
        yield f'<div class="table" tabindex="0">\n<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>'
        yield from rows
        yield "</tbody>\n</table>\n</div>"

    def _claim_rows(self) -> Iterator[str]:
        for judged in self._claims:
            claim = judged.claim
            day = claim.as_of.isoformat() + (f" ({self._say('standing')})" if claim.standing else "")
            quote = f"“<bdi>{_text(claim.quote)}</bdi>”" if claim.quote else ""
            source = f"<br><code>{_text(claim.source)}</code>" if claim.source else ""
            verdict = f'<span class="{judged.verdict}">{self._say(f"verdict.{judged.verdict}")}</span>'
            yield _row(
                [day, f"<bdi>{_text(claim.by or '')}</bdi>", quote + source, _text(judged.sentence), verdict]
            )

    def _transaction(self, proof: Proof) -> str:
        time = _time(rfc3339_seconds(proof.block_time))
        flow = self._say(f"flow.{proof.flow}")
        cells = [str(proof.height), time, f"<code>{proof.txid}</code>", flow]
        return _row(cells, [_btc(proof.amount), _btc(proof.balance)])

    def _sorted_addresses(self) -> list[Source]:
        return sorted(
            self._evidence.addresses, key=lambda one: (-one.sats, one.address or "", one.script_pubkey)
        )

    def _address(self, one: Source) -> str:
        shown = one.address or one.script_pubkey.hex()
        told = ", ".join(self._provenance(one))
        label = f"<bdi>{_text(one.label or '')}</bdi>"
        since = "" if one.since is None else str(one.since)
        return _row([f"<code>{escape(shown)}</code>", label, told, since], [_btc(one.sats)])

    def _provenance(self, one: Source) -> Iterator[str]:
        if one.published:
            yield self._say("published_on", day=_time(_text(one.published)))
        yield from (f"<bdi>{_text(part)}</bdi>" for part in (one.published_by, one.source) if part)
        if one.read:
            yield self._say("read_on", day=_time(_text(one.read)))
        if one.licence:
            yield self._say("licence", licence=f"<bdi>{_text(one.licence)}</bdi>")

    def _paragraph(self, key: str, **values: object) -> Iterator[str]:
        yield f"<h2>{self._say(key)}</h2>\n<p>{self._say(f'{key}_text', **values)}</p>"

    def _footer(self) -> str:
        return self._say("footer", version=escape(self._version), network=self._evidence.network)


def _row(cells: Iterable[str], numbers: Iterable[str] = ()) -> str:
    texts = "".join(f"<td>{cell}</td>" for cell in cells)
    figures = "".join(f'<td class="n">{number}</td>' for number in numbers)
    return f"<tr>{texts}{figures}</tr>"


def _number(head: str) -> str:
    return ' class="n"' if head.endswith(" BTC") else ""


def _text(text: str) -> str:
    """Anybody's text: on one line, without what cannot be seen, escaped."""
    return escape(clean(text))


def _time(text: str) -> str:
    """An instant or a day, not to be broken at its hyphens."""
    return f"<time>{text}</time>"


def _begun(words: str) -> str:
    """As a sentence begins."""
    return words[:1].upper() + words[1:]


def _btc(sats: Sats) -> str:
    whole, rest = divmod(abs(sats), _COIN)
    return f"{'-' if sats < 0 else ''}{whole}.{rest:08d}"
