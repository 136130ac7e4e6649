"""The page as people and their browsers find it."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from watcher.core.claims import Claim, Covers, Says, Totals
from watcher.delivery.verdict import GONE, Reason
from watcher.ledger.totals import Judged, keep_judged
from watcher.web.access import Guarded
from watcher.web.labels import STRIKE_REASONS
from watcher.web.page.render import grouped
from watcher.web.page.terms import PageTerms, TreasuryTerms
from watcher.web.page.words import CATALOGUES
from watcher.web.snapshot import Quorum, Stale

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import SmallLedger, StillDaemon

HOSTILE = "\u202e<img src=x onerror=alert(1)>\"'&\u2066`{{7*7}}"


def claim(says: Says, sats: int, day: date, *, standing: bool = False, name: str = "press") -> Claim:
    return Claim(
        name, says, sats, None, day, standing, Covers.PUBLISHED, "press", HOSTILE, HOSTILE,
        "javascript:alert(1)", "https://archive.example/1", None,
    )  # fmt: skip


async def test_a_balance_is_told_with_how_it_is_known(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve() as bound:
        home = await page(http, f"{bound.url}/")
    alpha, beta = home.text("section", class_="card")
    assert "5.20000000 BTC" in alpha
    assert "\u22120.20000000 BTC not in a block yet" in alpha
    assert "3 transactions, each proven" in alpha
    assert "2.00000000 BTC were there at the first reading" in alpha
    assert "By the word of home at block 102, given 2026-11-24 12:00:00 UTC" in alpha
    assert "up to date" in alpha
    assert "unknown" in beta
    assert "1 of 4" in beta
    assert "not up to date: not read in full yet" in beta
    assert "0.0000" not in beta


async def test_a_proof_that_comes_later_is_counted_though_no_event_tells_it(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve() as bound:
        for trust, told in (("corroborated", "3 transactions, 2 of them proven"), ("proven", "each proven")):
            ledger.sql("UPDATE transactions SET trust = ? WHERE block_height = 90", trust)
            assert told in (await page(http, f"{bound.url}/")).text("section", class_="card")[0]


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
async def test_a_moment_nobody_knows_yet_is_told_in_the_language_of_the_page(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    async with serve() as bound:
        for at, status, kind in (("999999", 404, "not-yet"), ("soon", 400, "bad-at")):
            told = await page(http, f"{bound.url}/treasuries/alpha?at={at}")
            assert told.status == status
            said = CATALOGUES[lang][f"problem_{kind}"].format(day="2026-11-24")
            assert said in told.text("main")[0]
            assert not told.all("p", lang="en")


async def test_one_and_none_are_told_as_such(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    async with serve() as bound:
        assert "2 are asked to agree" in (await page(http, f"{bound.url}/")).source
        daemon.changes = {"quorum": Quorum(required=1, independent=3, fresh=2)}
        ledger.sql("DELETE FROM entries WHERE treasury = 'alpha'")
        ledger.event("watch.removed", "alpha")
        home = await page(http, f"{bound.url}/")
    assert "Independent servers that answer: 2 of 3; the word of one is enough." in home.source
    (alpha, _) = home.text("section", class_="card")
    assert "No transaction so far. 5.20000000 BTC were there at the first reading" in alpha


async def test_changes_are_counted_back_from_the_tip_and_unknown_before_the_first_reading(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    async with serve() as bound:
        home = await page(http, f"{bound.url}/")
        assert home.text("dl", class_="changes") == ["24 hoursunknown 30 daysunknown 365 daysunknown"]
        # nothing that no transaction explains: then all of it came within the day
        ledger.sql("UPDATE treasuries SET confirmed = 320000000 WHERE name = 'alpha'")
        ledger.event("watch.removed", "alpha")
        home = await page(http, f"{bound.url}/")
    (changes,) = home.text("dl", class_="changes")
    assert changes == "24 hours+3.20000000 30 days+3.20000000 365 days+3.20000000"


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
@pytest.mark.parametrize(
    "path", ["/", "/treasuries/alpha", "/treasuries/beta", "/trust", "/login", "/events/evt_3", "/none"]
)
async def test_every_page_can_be_read_without_eyes_and_fetches_nothing_from_outside(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, path: str, lang: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    async with serve() as bound:
        found = await page(http, f"{bound.url}{path}")
        for url in found.fetched():
            assert url.startswith("/"), url
            if "/login" not in url and "/logout" not in url:
                async with http.get(f"{bound.url}{url}") as response:
                    assert response.status == 200, url
    assert found.status == (404 if path == "/none" else 200)
    assert found.all("html")[0].attributes["lang"] == lang
    assert [len(found.all(tag)) for tag in ("main", "header", "nav", "footer", "h1", "title")] == [1] * 6
    levels = [int(e.tag[1]) for e in found.elements if re.fullmatch("h[1-6]", e.tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(found.all("table")) == len(found.all("caption"))
    assert all("alt" in image.attributes for image in found.all("img"))
    labelled = {label.attributes.get("for") for label in found.all("label")}
    assert {field.attributes["id"] for field in found.all("input")} <= labelled
    ids = [e.attributes["id"] for e in found.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    # what the policy would refuse is not there
    assert not found.all("style")
    assert all(script.attributes.get("src") and not script.text for script in found.all("script"))
    assert not [
        e for e in found.elements for name in e.attributes if name.startswith("on") or name == "style"
    ]
    policy = found.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_an_address_has_when_its_source_was_read_and_under_which_licence_it_stands(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("UPDATE watches SET address = 'bcrt1qexample', read = '2026-11-24', licence = 'CC0 1.0'")
    async with serve() as bound:
        found = await page(http, f"{bound.url}/treasuries/alpha")
        assert any("read 2026-11-24 licence: CC0 1.0" in cell for cell in found.text("td"))


async def test_words_from_outside_are_inert(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    ledger.sql("UPDATE treasuries SET title = ?", HOSTILE)
    ledger.sql(
        "UPDATE watches SET label = ?, published_by = ?, published = ?, source = ?, address = ?,"
        " read = ?, licence = ?",
        *(HOSTILE, HOSTILE, HOSTILE, "javascript:alert(1)", "bcrt1qexample", HOSTILE, HOSTILE),
    )
    ledger.event("incident.noted", "alpha", text=HOSTILE, incident=HOSTILE)
    terms = TreasuryTerms((claim(Says.EXACTLY, 1, date(2026, 11, 1), standing=True),))
    daemon.page = PageTerms(explorer="javascript:alert(1)//", treasuries={"alpha": terms})
    async with serve() as bound:
        for path in ("/", "/treasuries/alpha", "/events/evt_6", "/feed.atom", "/treasuries/alpha/chart.svg"):
            async with http.get(f"{bound.url}{path}") as response:
                assert response.status == 200, path
                text = await response.text()
            assert "<img src=x" not in text
            assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
            if path.startswith(("/tr", "/ev")) and not path.endswith("svg"):
                found = await page(http, f"{bound.url}{path}")
                assert not [e for e in found.elements if "javascript" in e.attributes.get("href", "")]
                assert found.all("bdi")
                assert "{{7*7}}" in found.source


async def test_a_treasury_without_addresses_cannot_be_verified_and_its_claims_stand_beside(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    ledger.treasury("gamma", confirmed=0, pending=0, baselined=False)
    daemon.page = PageTerms(
        treasuries={"gamma": TreasuryTerms((claim(Says.AT_LEAST, 10**8, date(2026, 11, 1)),))}
    )
    async with serve() as bound:
        gamma = (await page(http, f"{bound.url}/")).text("section", class_="card")[2]
        whole = await page(http, f"{bound.url}/treasuries/gamma")
    assert "cannot be verified" in gamma
    assert "1 BTC claimed, no address published: it cannot be verified" in gamma
    assert "0.0000" not in gamma
    assert whole.status == 200
    assert not whole.all("img")


async def test_claims_are_shown_as_they_were_judged_and_against_now(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger, daemon: StillDaemon
) -> None:
    held_by = Judged("2026-11-24", Totals(320_000_000, 320_001_000), whole=True)
    refuted_by = Judged("2026-11-25", Totals(320_000_000, 320_000_000), whole=True)
    keep_judged(ledger.connection, "alpha", "standing", held_by)
    keep_judged(ledger.connection, "alpha", "dated", refuted_by)
    # kept for a claim that said something else: of another day, or true only of the hours that were seen
    keep_judged(ledger.connection, "alpha", "moved", refuted_by)
    keep_judged(ledger.connection, "alpha", "raised", replace(refuted_by, whole=False))
    ledger.sql("UPDATE treasuries SET confirmed = 320000000 WHERE name = 'alpha'")
    terms = TreasuryTerms(
        (
            claim(Says.EXACTLY, 320_001_000, date(2026, 11, 24), standing=True, name="standing"),
            claim(Says.AT_LEAST, 6 * 10**8, date(2026, 11, 25), name="dated"),
            claim(Says.AT_LEAST, 1, date(2026, 11, 26), name="moved"),
            claim(Says.AT_LEAST, 6 * 10**8, date(2026, 11, 25), name="raised"),
        )
    )
    daemon.page = PageTerms(treasuries={"alpha": terms})
    async with serve() as bound:
        home = await page(http, f"{bound.url}/")
    held, refuted, *open_ = (item for item in home.text("li") if "claimed" in item)
    # true for a moment of that day, and not any more
    assert held.startswith("matches ")
    assert "does not match Now: 3.2 BTC at the published addresses, 3.20001 BTC claimed" in held
    assert refuted.startswith("does not match 3.2 BTC at the published addresses, 6 BTC claimed")
    assert [each.startswith("cannot be judged") for each in open_] == [True, True]
    # each has an address of its own, on the treasury's page
    links = [a.attributes["href"].split("#") for a in home.all("a") if a.text == "this claim"]
    assert {path for path, _ in links} == {"/treasuries/alpha"}
    assert [place for _, place in links] == [
        e.attributes["id"] for e in home.all("li") if e.attributes.get("id", "").startswith("claim-")
    ]


async def test_every_version_of_the_list_is_told_where_its_addresses_are(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    added = ledger.event("watch.added", "alpha", delta=(0, 0), scripts=1)
    for _ in range(30):
        ledger.event("tx.seen", "alpha", flow="inflow")
    async with serve() as bound:
        found = await page(http, f"{bound.url}/treasuries/alpha")
        then = await page(http, f"{bound.url}/treasuries/alpha?at=101")
    assert len(found.all("h3", id="versions")) == 1
    links = [a.attributes["href"] for a in found.all("a")]
    # beyond what the latest news have
    assert links.count(f"/events/evt_{added}") == links.count("/events/evt_1") == 1
    assert links.index(f"/events/evt_{added}") < links.index("/events/evt_1")
    assert not then.all("h3", id="versions")


async def test_the_links_lead_through_every_version_of_the_list(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    versions = {"/events/evt_1"}
    versions |= {f"/events/evt_{ledger.event('watch.added', 'alpha', scripts=1)}" for _ in range(120)}
    for _ in range(30):
        ledger.event("tx.seen", "alpha", flow="inflow")
    alpha, seen = "/treasuries/alpha", []
    async with serve() as bound:
        link: str | None = alpha
        while link:
            found = await page(http, f"{bound.url}{link}")
            links = [a.attributes["href"] for a in found.all("a")]
            seen.append([href for href in links if href in versions])
            assert (f"{alpha}#versions" in links) == (link != alpha)
            link = next((href for href in links if "?version=" in href), None)
        beyond = await page(http, f"{bound.url}{alpha}?version=1")
        assert f"{alpha}#versions" in [a.attributes["href"] for a in beyond.all("a")]
        assert (await page(http, f"{bound.url}{alpha}?version=first")).status == 400
    assert [len(each) for each in seen] == [50, 50, 21]
    assert {href for each in seen for href in each} == versions


@pytest.mark.parametrize(
    ("lang", "address", "transaction", "servers", "some"),
    [
        (
            "en",
            "1 address watched;",
            "1 transaction, not proven yet.",
            "that answer: 1 of 1;",
            "1 of them proven",
        ),
        (
            *("es", "1 dirección bajo vigilancia;", "1 transacción, aún sin probar."),
            *("que responden: 1 de 1;", "probadas en la cadena con más trabajo: 1."),
        ),
    ],
)
async def test_one_is_not_told_as_many(
    serve: Open,
    http: aiohttp.ClientSession,
    ledger: SmallLedger,
    daemon: StillDaemon,
    lang: str,
    address: str,
    transaction: str,
    servers: str,
    some: str,
) -> None:
    daemon.page = PageTerms(lang=lang, addresses=False)
    ledger.sql("UPDATE watches SET removed_ms = 1 WHERE treasury = 'alpha' AND id > 1")
    ledger.sql("UPDATE transactions SET trust = 'corroborated' WHERE id > 1")
    async with serve() as bound:
        assert address in (await page(http, f"{bound.url}/treasuries/alpha")).source
        home = await page(http, f"{bound.url}/")
        assert servers in home.source
        assert some in home.text("dd")[0]
        ledger.sql("UPDATE entries SET state = 'dropped' WHERE tx <> 2")
        assert (await page(http, f"{bound.url}/")).text("dd")[0].startswith(transaction)


async def test_an_address_that_moved_too_often_for_a_read_is_not_added_up_and_the_others_are(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    busy, calm = (row[0] for row in ledger.connection.execute("SELECT script FROM watches LIMIT 2"))
    ledger.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 50000)"
        " INSERT INTO transactions (txid, raw, trust, sources, first_seen_ms)"
        " SELECT 'busy ' || i, x'00', 'reported', '[]', 0 FROM n"
    )
    ledger.sql("INSERT INTO touches SELECT ?, id, 1, 0 FROM transactions WHERE txid LIKE 'busy%'", busy)
    ledger.sql("INSERT INTO touches SELECT ?, id, 1000, 400 FROM transactions WHERE block_height > 100", calm)
    async with serve() as bound:
        for word in ("not added up", "unknown"):
            held = (await page(http, f"{bound.url}/treasuries/alpha")).text("tr")[-2:]
            assert [word in held[0], "0.00001200" in held[1]] == [True, True]
            ledger.sql("UPDATE scripts SET read_ms = NULL WHERE id = ?", busy)


async def test_a_day_is_not_broken_at_its_hyphens_and_nothing_else_is_taken_for_one(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    for published, days in (("2026-11-24", 1), (HOSTILE, 0)):
        ledger.sql("UPDATE watches SET published = ?, published_by = ?", published, HOSTILE)
        async with serve() as bound:
            found = await page(http, f"{bound.url}/treasuries/alpha")
        assert len(found.all("span", class_="day")) == days * 3 + 1  # two rows, whose they are, and the hint
        assert not found.all("img", src="x")
        assert "onerror=alert(1)" in found.text("td")[-2]


async def test_the_way_to_log_in_is_shown_to_whom_it_helps(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve(Guarded(read_token="t" * 20)) as bound:
        refused = await page(http, f"{bound.url}/outbox")
        missing = await page(http, f"{bound.url}/none", {"Authorization": f"Bearer {'t' * 20}"})
    assert (refused.status, missing.status) == (401, 404)
    assert [found.text("main")[0].endswith("Log in") for found in (refused, missing)] == [True, False]


async def test_sources_and_outbox_are_for_those_who_may_see_them(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    for door, shown in ((Guarded(), True), (Guarded(public=True), False)):
        async with serve(door) as bound:
            home = await page(http, f"{bound.url}/")
        assert [bool(home.all("h2", id=name)) for name in ("sources", "outbox")] == [shown, shown]
        assert ("ops" in home.source) == shown


@pytest.mark.parametrize(
    ("door", "token", "api_shows"),
    [(Guarded(public=True), None, False), (Guarded(public=True, read_token="t" * 20), "t" * 20, True)],
    ids=["visitor", "token"],
)
async def test_addresses_are_shown_unless_the_operator_says_nowhere(
    serve: Open,
    http: aiohttp.ClientSession,
    ledger: SmallLedger,
    daemon: StillDaemon,
    door: Guarded,
    token: str | None,
    *,
    api_shows: bool,
) -> None:
    """Nowhere is no page, no feed and no answer to a visitor; with the operator's token the log is whole."""
    ledger.sql("UPDATE watches SET address = 'bcrt1qsecret', label = 'cold'")
    ledger.event(
        "tx.final", "alpha", flow="inflow", amount_sats=1, moved_sats=1,
        movements=[{"address": "bcrt1qsecret", "label": "cold", "amount_sats": 1}],
    )  # fmt: skip
    ledger.event("movement.expected", "alpha", to=["bcrt1qsecret"])
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    stream = {"Last-Event-ID": f"{ledger.log}:5"} | headers
    async with serve(door) as bound:
        for shown in (True, False):
            daemon.page = PageTerms(addresses=shown)
            for path in ("/treasuries/alpha", "/events/evt_6", "/events/evt_7", "/feed.atom"):
                async with http.get(f"{bound.url}{path}", headers=headers) as response:
                    assert ("bcrt1qsecret" in await response.text()) == shown, path
            async with http.get(f"{bound.url}/api/v1/events", headers=headers) as response:
                assert ("bcrt1qsecret" in await response.text()) == (shown or api_shows)
            async with http.get(f"{bound.url}/api/v1/events/stream", headers=stream) as response:
                told = await response.content.readuntil(b"event: movement.expected\n")
                told += await response.content.readuntil(b"\n\n")
                assert (told.count(b"bcrt1qsecret") == 2) == (shown or api_shows)
                assert (b"bcrt1qsecret" in told) == (shown or api_shows)


async def test_a_page_that_has_not_changed_is_not_sent_again(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    async with serve() as bound:
        for path in ("/treasuries/alpha", "/trust", "/feed.atom", "/treasuries/alpha/chart.svg"):
            async with http.get(f"{bound.url}{path}") as first:
                etag = {"If-None-Match": first.headers["ETag"]}
            async with http.get(f"{bound.url}{path}", headers=etag) as second:
                assert (second.status, await second.read()) == (304, b""), path
        daemon.not_fresh = [Stale("alpha", ("too_old",))]
        assert (await page(http, f"{bound.url}/treasuries/alpha", etag)).status == 200


async def test_links_carry_the_external_urls_path_for_those_who_came_by_it(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    daemon.page = PageTerms(external_url="https://watch.example/coins")
    async with serve(Guarded(external_url="https://watch.example/coins")) as bound:
        outside = await page(http, f"{bound.url}/", {"Host": "watch.example"})
        inside = await page(http, f"{bound.url}/")
    assert all(url.startswith("/coins/") for url in outside.fetched())
    assert not any(url.startswith("/coins/") for url in inside.fetched())


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/v1/treasuries", "/treasuries/alpha"])
async def test_a_proxy_may_pass_the_external_urls_path_on(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, path: str
) -> None:
    daemon.page = PageTerms(external_url="https://watch.example/coins")
    async with serve(Guarded(external_url="https://watch.example/coins/")) as bound:
        for prefix, status in (("", 200), ("/coins", 200), ("/other", 404)):
            reply = await http.get(f"{bound.url}{prefix}{path}", headers={"Host": "watch.example"})
            assert reply.status == status, prefix
        assert (await http.get(f"{bound.url}/coins", headers={"Host": "watch.example"})).status == 200


async def test_the_history_is_paged_newest_first_and_carries_the_balance(
    serve: Open, http: aiohttp.ClientSession, ledger: SmallLedger
) -> None:
    ledger.sql("BEGIN")
    for n in range(120):
        ledger.tx("alpha", f"n{n}", (200 + n // 2, n), "inflow", n + 1)
    ledger.sql("UPDATE treasuries SET confirmed = confirmed + ? WHERE name = 'alpha'", sum(range(121)))
    ledger.sql("COMMIT")
    rows: list[str] = []
    async with serve() as bound:
        path = "/treasuries/alpha"
        while path:
            found = await page(http, f"{bound.url}{path}")
            rows += [row for row in found.text("tr") if " proven " in row]
            links = [a.attributes["href"] for a in found.all("a") if a.text == "Further ones"]
            path = next((link.partition("#")[0] for link in links if link.endswith("#history")), "")
    assert len(rows) == 123
    assert "+0.00000120 5.20007260 259 proven" in rows[0]
    assert "+0.00000001 5.20000001 200 proven" in rows[119]
    assert "\u22120.00001000 5.20000000 102 proven" in rows[120]
    # before the first reading the balance was not known
    assert "+3.00000000 unknown 90 proven" in rows[122]


@pytest.mark.parametrize("lang", sorted(CATALOGUES))
def test_what_a_source_was_caught_at_what_makes_stale_and_why_a_delivery_failed_is_said_in_words(
    lang: str,
) -> None:
    stale = {"not_read", "too_old", "no_source", "no_quorum", "quarantined"}
    words = {f"strike_{reason}" for reason in STRIKE_REASONS} | {f"reason_{reason}" for reason in stale}
    words |= {f"failed_{reason}" for reason in {*Reason, GONE}}
    assert words <= CATALOGUES[lang].keys()


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    english, spanish = CATALOGUES["en"], CATALOGUES["es"]
    assert english.keys() == spanish.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", spanish[key])), key


@pytest.mark.parametrize(
    ("sats", "text"),
    [
        (0, "0.00000000"),
        (-1, "\u22120.00000001"),
        (999_900_000_000, "9999.00000000"),
        (1_234_500_000_000, "12\u202f345.00000000"),
        (2_099_999_997_690_000, "20\u202f999\u202f999.97690000"),
    ],
)
def test_amounts_are_exact_and_their_digits_grouped(sats: int, text: str) -> None:
    assert grouped(sats) == text
