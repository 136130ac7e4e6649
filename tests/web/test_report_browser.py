"""A report in a real Chromium: no wider than a telephone, whatever others have written into it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.web.browser import browser
from watcher.bitcoin.networks import Network
from watcher.ledger.evidence import Complete, Evidence, Proof, Source
from watcher.report.page import report
from watcher.report.words import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

pytestmark = pytest.mark.slow
WORD = "Donaudampfschifffahrtsgesellschaftsvermögensverwaltung"
PAID = Proof("ab" * 32, b"", 840_000, 1, 1_713_571_767, (), "inflow", 624_000_000_000, 624_000_000_000)
LISTED = Source(
    *(b"\x51", "bc1" + "q" * 59, WORD, "2024-03-14", WORD, f"https://{WORD}.example"),
    *("2026-11-24", WORD, 840_000, 0),
)


@pytest.mark.parametrize("lang", sorted(WORDS))
async def test_long_words_and_days_fit_a_narrow_screen(
    http: aiohttp.ClientSession, tmp_path: Path, lang: str
) -> None:
    evidence = Evidence(
        *(Network.MAINNET, "long", WORD, "own", 840_000, date(2024, 4, 20), 624_000_000_000, 0),
        *((PAID,), (LISTED,), {}, Complete(840_000, "00" * 32, (WORD,))),
    )
    file = tmp_path / "report.html"
    file.write_text(report(evidence, [], lang=lang, version="0.1.0"))
    async with browser(http) as tab:
        await tab.open(file.as_uri(), width=390)
        assert await tab.value("document.documentElement.scrollWidth") <= 390
        times = "[...document.querySelectorAll('time')]"
        told = await tab.value(f"{times}.map((each) => each.innerText).join(' ')")
        assert told == "2024-04-20T00:09:27Z 2024-03-14 2026-11-24"
        assert await tab.value(f"Math.max(...{times}.map((each) => each.getClientRects().length))") == 1
