"""The specification's schedule, and what a verdict makes of a delivery."""

from __future__ import annotations

import pytest

from watcher.core.outbox import Accepted, Again, Dead, Refused
from watcher.delivery.http import retry_after_seconds, verdict_of
from watcher.delivery.schedule import DELAYS, fate_of, next_delay, throttle_of
from watcher.delivery.verdict import Delivered, Gone, Reason, Rejected, Retry


def test_there_are_ten_attempts_over_75_hours_and_35_minutes() -> None:
    assert [*DELAYS] == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert sum(DELAYS) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize("made", range(1, 10))
def test_a_delay_is_never_shorter_and_at_most_a_tenth_longer(made: int) -> None:
    for draw in (0.0, 0.5, 0.999999):
        delay = next_delay(made, draw)
        assert delay is not None
        assert DELAYS[made] <= delay < DELAYS[made] * 1.1
    assert next_delay(10, 0.0) is None


def test_verdicts_become_fates() -> None:
    assert fate_of(Delivered(200), 1, ended=1.0, draw=0.0) == Accepted()
    assert fate_of(Gone(410), 1, ended=1.0, draw=0.0) == Refused()
    assert fate_of(Rejected(Reason.STATUS_4XX), 1, ended=1.0, draw=0.0) == Dead()
    assert fate_of(Retry(Reason.TIMEOUT), 1, ended=1.0, draw=0.0) == Again(6_000)
    assert fate_of(Retry(Reason.TIMEOUT), 10, ended=1.0, draw=0.0) == Dead()


def test_retry_after_lengthens_and_never_shortens() -> None:
    assert fate_of(Retry(Reason.THROTTLED, 60.0), 1, ended=0.0, draw=0.0) == Again(60_000)
    assert fate_of(Retry(Reason.THROTTLED, 1.0), 2, ended=0.0, draw=0.0) == Again(300_000)
    assert fate_of(Retry(Reason.THROTTLED, 1e9), 1, ended=0.0, draw=0.0) == Again(86_400_000)
    # nor does it add an attempt
    assert fate_of(Retry(Reason.THROTTLED, 60.0), 10, ended=0.0, draw=0.0) == Dead()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("99999999999999999999", 86_400.0),
        ("9" * 5_000, None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:17:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:17:40", 60.0),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(text: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(text, now=1_000.0) == seconds


def test_every_status_has_its_verdict() -> None:
    assert [verdict_of(code, None, 0.0) for code in (200, 204, 299)] == [
        Delivered(200),
        Delivered(204),
        Delivered(299),
    ]
    assert verdict_of(410, "5", 0.0) == Gone(410)
    assert {code: verdict_of(code, "9", 0.0) for code in (301, 308, 404, 429, 500, 502, 503, 504, 777)} == {
        301: Retry(Reason.REDIRECT, 9.0, 301),
        308: Retry(Reason.REDIRECT, 9.0, 308),
        404: Retry(Reason.STATUS_4XX, 9.0, 404),
        429: Retry(Reason.THROTTLED, 9.0, 429),
        500: Retry(Reason.STATUS_5XX, 9.0, 500),
        502: Retry(Reason.OVERLOADED, 9.0, 502),
        503: Retry(Reason.OVERLOADED, 9.0, 503),
        504: Retry(Reason.OVERLOADED, 9.0, 504),
        777: Retry(Reason.PROTOCOL, 9.0, 777),
    }


def test_an_endpoint_is_spared_only_when_it_says_so() -> None:
    assert throttle_of(Retry(Reason.THROTTLED)) == 5.0
    assert throttle_of(Retry(Reason.OVERLOADED, 30.0)) == 30.0
    assert throttle_of(Retry(Reason.STATUS_5XX, 86_400.0)) == 600.0
    assert throttle_of(Retry(Reason.STATUS_5XX)) == 0.0
    assert throttle_of(Delivered(200)) == 0.0
