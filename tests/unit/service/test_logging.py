"""What a log line is: one line, one event, nothing secret and nothing that moves a cursor."""

from __future__ import annotations

import io
import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from watcher.service.logging import (
    JournalFormatter,
    JsonFormatter,
    LogfmtFormatter,
    TextFormatter,
    clean,
    configure_logging,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = 'say "hi"\n<2>forged\r\x1b[31m \u202egnp\u2028 \ud800 end\x00'


def record(message: str, level: int = logging.WARNING, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelno": level, "levelname": logging.getLevelName(level)})
    made.created, made.name = 1_795_521_600.123, "watcher.sources"
    vars(made).update(fields)
    return made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    before, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
    for handler in before:
        logger.addHandler(handler)
    logger.setLevel(level)


def test_logfmt_holds_message_and_fields() -> None:
    line = LogfmtFormatter().format(record("source failed", source="home", reason="timed out", n=3, up=True))
    assert line == (
        'ts=2026-11-24T12:00:00.123Z level=warning logger=watcher.sources msg="source failed"'
        ' source=home reason="timed out" n=3 up=true'
    )


def test_text_is_for_reading() -> None:
    line = TextFormatter().format(record("source failed", source="home"))
    assert line == "2026-11-24T12:00:00.123Z WARNING  source failed source=home"


def test_json_is_an_object_a_line() -> None:
    line = JsonFormatter().format(record("source failed", source="home", n=3))
    assert json.loads(line) == {
        "ts": "2026-11-24T12:00:00.123Z",
        "level": "warning",
        "logger": "watcher.sources",
        "msg": "source failed",
        "source": "home",
        "n": 3,
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.CRITICAL, "<2>"),
        (logging.ERROR, "<3>"),
        (logging.WARNING, "<4>"),
        (logging.INFO, "<6>"),
        (logging.DEBUG, "<7>"),
    ],
)
def test_journald_is_told_the_priority(level: int, priority: str) -> None:
    line = JournalFormatter(LogfmtFormatter()).format(record("x", level))
    assert line.startswith(f"{priority}ts=")


@pytest.mark.parametrize("formatter", [LogfmtFormatter(), TextFormatter(), JsonFormatter()])
def test_hostile_text_stays_in_its_line_and_its_field(formatter: logging.Formatter) -> None:
    line = formatter.format(record(HOSTILE, server=HOSTILE, long="x" * 100_000))
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    line.encode()
    assert len(line) < 3_000


def test_a_quote_in_a_value_does_not_begin_another_field() -> None:
    line = LogfmtFormatter().format(record("m", server='x" level=critical msg="forged'))
    assert line.endswith('server="x\\" level=critical msg=\\"forged"')


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/services/SECRET?token=SECRET#SECRET",
        "https://user:SECRET@hooks.example/x",
        "https://user:SE@CRET@hooks.example",
        "ssl://hooks.example?SECRET",
        "smtps://SECRET@hooks.example:465",
        "<https://hooks.example/SECRET>",
    ],
)
def test_a_url_is_scheme_and_host(url: str) -> None:
    told = clean(f"cannot reach {url}: refused")
    assert "SECRET" not in told
    assert "CRET" not in told
    assert "://hooks.example" in told
    assert told.endswith("refused")


def test_an_exception_is_one_line_with_no_secret(root: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logging("auto", stream, {})
    try:
        int("https://hooks.example/SECRET\nand more")
    except ValueError:
        logging.getLogger("watcher.x").exception("job failed", extra={"job": "reread"})
    (line,) = stream.getvalue().splitlines()
    assert "job=reread" in line
    assert "ValueError" in line
    assert "SECRET" not in line


def test_the_form_follows_the_stream(root: logging.Logger, tmp_path: Path) -> None:
    log = logging.getLogger("watcher.x")
    with (tmp_path / "log").open("w+") as stream:
        status = os.fstat(stream.fileno())
        journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        configure_logging("auto", stream, journal)
        log.warning("one")
        configure_logging("auto", stream, {"JOURNAL_STREAM": "1:2"})
        log.info("two")
        log.debug("never")
        configure_logging("json", stream, {})
        log.info("three")
        configure_logging("json", stream, journal)
        log.error("four")
        stream.seek(0)
        one, two, three, four = stream.read().splitlines()
    assert one.startswith("<4>ts=")
    assert two.startswith("ts=")
    assert json.loads(three)["msg"] == "three"
    assert four.startswith('<3>{"ts"')


def test_a_terminal_gets_text(root: logging.Logger) -> None:
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        configure_logging("auto", stream, {})
        logging.getLogger("watcher.x").info("started")
        assert b"INFO     started" in os.read(leader, 1_000)
    os.close(leader)
