"""Logging in: the token becomes a cookie that opens what the token opens, here and from nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.reading import page
from tests.web.test_access import ADMIN, READ, REDELIVER, TOKENS
from watcher.web.access import COOKIE, Guarded
from watcher.web.page.terms import PageTerms

if TYPE_CHECKING:
    import aiohttp

    from tests.web.conftest import Open
    from tests.web.small_ledger import StillDaemon


FORM = "application/x-www-form-urlencoded"


async def cookie(http: aiohttp.ClientSession, url: str | None, token: str) -> aiohttp.ClientResponse:
    return await http.post(f"{url}/login", data={"token": token}, allow_redirects=False)


@pytest.mark.parametrize(("lang", "title"), [("en", "A token is required"), ("es", "Se necesita un token")])
async def test_what_is_refused_is_told_once_and_in_the_language_of_the_page(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon, lang: str, title: str
) -> None:
    daemon.page = PageTerms(lang=lang)
    async with serve(TOKENS) as bound:
        closed = await page(http, f"{bound.url}/")
    assert closed.text("main")[0].startswith(title)
    assert "a token is required" not in closed.text("main")[0]


@pytest.mark.parametrize(("token", "write"), [(READ, 403), (ADMIN, 202)])
async def test_a_cookie_opens_what_its_token_opens(
    serve: Open, http: aiohttp.ClientSession, token: str, write: int
) -> None:
    async with serve(TOKENS) as bound:
        closed = await page(http, f"{bound.url}/")
        assert closed.status == 401
        links = [a.attributes["href"] for a in closed.all("a")]
        assert "/login" in links
        assert "/outbox" not in links
        assert (await page(http, f"{bound.url}/login")).status == 200
        answer = await cookie(http, bound.url, token)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        morsel = answer.cookies[COOKIE]
        assert token not in answer.headers["Set-Cookie"]
        assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "Strict", "")
        sent = {"Cookie": f"{COOKIE}={morsel.value}"}
        opened = await page(http, f"{bound.url}/", sent)
        assert opened.status == 200
        assert opened.all("h2", id="sources")
        own = sent | {"Origin": str(bound.url)}
        async with http.post(f"{bound.url}{REDELIVER}", json={}, headers=own) as response:
            assert response.status == write
        # a page of another site cannot use it
        foreign = sent | {"Origin": "https://evil.example"}
        async with http.post(f"{bound.url}{REDELIVER}", json={}, headers=foreign) as response:
            assert response.status == 403
        async with http.post(f"{bound.url}/logout", headers=sent, allow_redirects=False) as response:
            assert response.cookies[COOKIE]["max-age"] == "0"


@pytest.mark.parametrize("token", ["", "x", READ[:-1], f"{READ} ", "\ud800"])
async def test_a_token_that_opens_nothing_gets_no_cookie(
    serve: Open, http: aiohttp.ClientSession, token: str
) -> None:
    async with serve(TOKENS) as bound:
        answer = await cookie(http, bound.url, token.encode("utf-8", "replace").decode())
        assert (answer.status, COOKIE in answer.cookies) == (403, False)
        for value in ("", token.encode("utf-8", "replace").decode(), READ, "0" * 64):
            async with http.get(f"{bound.url}/", headers={"Cookie": f"{COOKIE}={value}"}) as response:
                assert response.status == 401


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": f"{FORM}; charset=nope"}, b"token=x"),
        ({"Content-Type": f"{FORM}; charset=hex"}, b"token=x"),
        ({"Content-Type": f"{FORM}; charset=undefined"}, b"token=x"),
        ({"Content-Type": FORM}, b"token=\xff"),
        ({"Content-Type": f"{FORM}; charset=ascii"}, "token=é".encode()),
        ({"Content-Type": FORM, "Content-Encoding": "gzip"}, b"token=x"),
    ],
)
async def test_a_form_that_is_not_encoded_as_it_says_is_a_bad_request(
    serve: Open,
    http: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    body: bytes,
) -> None:
    async with (
        serve(TOKENS) as bound,
        http.post(f"{bound.url}/login", data=body, headers=headers) as response,
    ):
        assert (response.status, COOKIE in response.cookies) == (400, False)
    assert "Traceback" not in caplog.text


async def test_without_tokens_there_is_nothing_to_log_in_with(
    serve: Open, http: aiohttp.ClientSession
) -> None:
    """Else the cookie of an empty token would open every daemon without one."""
    async with serve(Guarded(public=True)) as bound:
        answer = await cookie(http, bound.url, "")
        assert answer.status == 403


async def test_another_site_cannot_log_anybody_in(serve: Open, http: aiohttp.ClientSession) -> None:
    async with serve(TOKENS) as bound:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            async with http.post(f"{bound.url}/login", data={"token": READ}, headers=headers) as response:
                assert response.status == 403
                assert COOKIE not in response.cookies
        async with http.post(f"{bound.url}/login", json={"token": READ}) as response:
            assert response.status == 415


async def test_behind_https_the_cookie_is_never_sent_in_the_open(
    serve: Open, http: aiohttp.ClientSession, daemon: StillDaemon
) -> None:
    daemon.page = PageTerms(external_url="https://watch.example/coins")
    door = Guarded("https://watch.example/coins", read_token=READ)
    host = {"Host": "watch.example", "Origin": "https://watch.example"}
    async with (
        serve(door) as bound,
        http.post(f"{bound.url}/login", data={"token": READ}, headers=host, allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (303, "/coins/")
        assert "Secure" in answer.headers["Set-Cookie"]
