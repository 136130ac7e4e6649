"""Durations, amounts, names, URLs and listen addresses: what is taken, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config import values
from watcher.config.urls import ListenTcp, ListenUnix, parse_listen, parse_url
from watcher.core.rules_types import parse_rung


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("1h", 3600),
        ("2h30m", 9000),
        ("7d", 604_800),
        ("1d2h3m4s", 93_784),
        ("500ms", 0.5),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "60", "5 m", "m5", "-5m", "1.5h", "5m2h", "1w", "٣s", 60, None, "9999999s", "999999d"]
)
def test_a_duration_written_otherwise_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        values.duration(text)


@given(st.integers(0, 2_099_999_997_690_000))
def test_an_amount_is_exact(sats: int) -> None:
    whole, part = divmod(sats, 100_000_000)
    assert values.sats_of_btc(f"{whole}.{part:08d}") == sats


@pytest.mark.parametrize(
    ("written", "sats"), [("0", 0), (6240, 624_000_000_000), ("0.1", 10_000_000), ("21000000", 21 * 10**14)]
)
def test_an_amount_is_a_decimal_or_an_integer(written: object, sats: int) -> None:
    assert values.sats_of_btc(written) == sats


@pytest.mark.parametrize(
    "written",
    [
        0.1,
        1.0,
        float("nan"),
        "1e3",
        "-1",
        -1,
        "1,5",
        ".5",
        "1.",
        "0.000000001",
        "21000001",
        True,
        None,
        "\uff11",
    ],
)
def test_an_amount_written_otherwise_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"float|decimal|21 million"):
        values.sats_of_btc(written)


def test_a_float_is_told_why() -> None:
    with pytest.raises(ValueError, match=r'write it in quotes, "0.1"'):
        values.sats_of_btc(0.1)


def test_a_budget_is_one_or_several() -> None:
    assert values.budgets("700/h") == (values.Budget(700, 3600.0),)
    assert values.budgets(["10/s", "700/h"]) == (values.Budget(10, 1.0), values.Budget(700, 3600.0))
    for wrong in ("700", "0/h", "7/w", [], 700, ["1/s"] * 9):
        with pytest.raises(ValueError, match="budget"):
            values.budgets(wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (800_000, 800_000),
        ("800000", 800_000),
        (date(2024, 3, 14), datetime(2024, 3, 14, tzinfo=UTC)),
        ("2024-03-14", datetime(2024, 3, 14, tzinfo=UTC)),
        ("2024-03-14T02:00:00+02:00", datetime(2024, 3, 14, tzinfo=UTC)),
    ],
)
def test_membership_is_a_height_or_a_utc_instant(written: object, meant: object) -> None:
    assert values.membership(written) == meant


@pytest.mark.parametrize("written", [-1, True, 1.5, 500_000_000, "soon", "2024-03-14T00:00:00"])
def test_membership_written_otherwise_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"height|zone"):
        values.membership(written)


@pytest.mark.parametrize("name", ["", "El-Salvador", "a_b", "ä", "a" * 65, "a/b", 3])
def test_a_treasurys_name_is_a_label(name: object) -> None:
    with pytest.raises(ValueError, match="a-z, 0-9 and -"):
        values.treasury_name(name)


@pytest.mark.parametrize(
    ("written", "rung"),
    [
        ("seen", "seen"),
        (1, "confirmed"),
        ("confirmed", "confirmed"),
        (3, 3),
        ("3", 3),
        (6, "final"),
        (100, "final"),
        ("final", "final"),
    ],
)
def test_a_rung_has_one_form(written: object, rung: object) -> None:
    assert parse_rung(written, finality=6) == rung


@pytest.mark.parametrize("written", [0, -1, True, 1.5, "", "sometime", "²", None])
def test_a_rung_written_otherwise_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="a rung is"):
        parse_rung(written, finality=6)


def test_a_url_shows_scheme_and_host_only() -> None:
    url = parse_url("https://user:pass@hooks.example:8443/T0K3N?key=1", ("https",))
    assert (url.scheme, url.host, url.port) == ("https", "hooks.example", 8443)
    assert str(url) == "https://hooks.example"
    for shown in (str(url), repr(url), f"{url}"):
        assert "T0K3N" not in shown
        assert "pass" not in shown
    assert url.reveal().endswith("/T0K3N?key=1")


@pytest.mark.parametrize(
    "text",
    [
        "ftp://s3cr3t.example",
        "https://",
        "s3cr3t",
        "https://h:s3cr3t/",
        "https://h:99999/s3cr3t",
        "https://h/s3cr3t x",
        "https://[s3cr3t/",
        "https://h/s3cr3t\n",
        "https://s3cr3t..example/",
        "https://.s3cr3t.example/",
        "https://s3cr3t.example../",
        "https://./s3cr3t",
        f"https://s3cr3t.{'a' * 64}.example/",
    ],
)
def test_a_url_that_is_refused_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        parse_url(text, ("https",))
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("host", ["h.example.", f"{'a' * 63}.example", "127.0.0.1", "::1"])
def test_a_host_that_a_resolver_takes_is_taken(host: str) -> None:
    assert parse_url(f"https://{f'[{host}]' if ':' in host else host}/", ("https",)).host == host


@pytest.mark.parametrize(
    "text", ["tcp://host", "ssl://host", "ssl://host:0", "tcp://h:1/path", "tcp://u@h:1", "ssl://h:1?x=1"]
)
def test_an_electrum_url_has_a_host_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        parse_url(text, ("tcp", "ssl"))


@pytest.mark.parametrize(
    ("text", "listen", "loopback"),
    [
        ("127.0.0.1:9342", ListenTcp("127.0.0.1", 9342), True),
        ("localhost:0", ListenTcp("localhost", 0), True),
        ("[::1]:80", ListenTcp("::1", 80), True),
        ("0.0.0.0:80", ListenTcp("0.0.0.0", 80), False),
        ("[::]:80", ListenTcp("::", 80), False),
        ("127.evil.example:80", ListenTcp("127.evil.example", 80), False),
    ],
)
def test_a_listen_address_knows_whether_others_reach_it(
    text: str, listen: ListenTcp, *, loopback: bool
) -> None:
    parsed = parse_listen(text, folder=Path("/etc"))
    assert parsed == listen
    assert isinstance(parsed, ListenTcp)
    assert parsed.is_loopback is loopback
    assert parse_listen(str(parsed), folder=Path("/etc")) == parsed


def test_a_socket_lies_beside_the_config_or_where_it_says() -> None:
    assert parse_listen("unix:web.sock", folder=Path("/etc/w")) == ListenUnix(Path("/etc/w/web.sock"))
    assert parse_listen("unix:/run/web.sock", folder=Path("/etc/w")) == ListenUnix(Path("/run/web.sock"))


def test_a_socket_may_lie_deep_and_its_name_fits_into_an_address() -> None:
    deep = Path("/run") / "/".join(["deep"] * 40) / "web.sock"
    assert parse_listen(f"unix:{deep}", folder=Path("/")) == ListenUnix(deep)
    with pytest.raises(ValueError, match="at most 80 bytes"):
        parse_listen(f"unix:/run/{'a' * 81}", folder=Path("/"))


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", ":80", "host:port", "host:70000", "unix:", "a@b:80", "h:80/x", "http://h:80"]
)
def test_a_listen_address_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|no path"):
        parse_listen(text, folder=Path("/etc"))
