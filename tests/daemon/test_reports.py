"""`watcher report`: the same bytes for the same ledger, and evidence that a bare Python verifies."""

from __future__ import annotations

import asyncio
import csv
import html.parser
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.daemon.places import ALPHA, BETA, Place
from tests.stack.processes import until
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stack.daemon import Daemon

ROOT: Final = Path(__file__).parents[2]
STRANGER: Final = b"\x00\x14" + bytes(range(100, 120))
PAID: Final = (5_000_000, 2_000_000, 9_000)  # satoshis, each in a block of its own
SPENT: Final = 1_500_000  # of the second
EXTRA: Final = """
[[treasuries]]
name = "nowhere"
title = "Claimed, and no address published"

[[treasuries.claims]]
id = "said"
says = "at_least"
btc = "1000"
as_of = 2025-01-01
role = "press"
by = "Somebody"
"""
CLAIMS: Final = """
[[treasuries.claims]]
id = "standing"
says = "exactly"
btc = "0.05509"
as_of = 2011-01-01
standing = true
role = "official"
by = "The <b>first</b> & only"
quote = "we hold it"

[[treasuries.claims]]
id = "later"
says = "exactly"
btc = "7"
as_of = 2999-01-01
role = "official"
by = "Tomorrow"
"""


def config(place: Place) -> str:
    """Treasury alpha with provenance and claims."""
    text = place.config(extra=EXTRA)
    provenance = (
        'label = "=main"\npublished = 2024-03-14\nby = "The first"\nsource = "https://first.example"\n'
        'read = 2026-11-24\nlicence = "CC0 <1.0>"\n'
    )
    return text.replace('label = "main"\n', provenance + CLAIMS).replace(
        'title = "The first"', 'title = "The \\"<i>first</i>\\" & others"\nattribution = "official"'
    )


async def lived(folder: Path) -> list[int]:
    """A daemon that has seen payments, a spend, a reorganisation; the heights of the blocks with them."""
    async with ToyElectrum(ToyChain()) as toy:
        place = Place(folder, {"home": toy.url})
        heights = []
        async with place.daemon(config(place)) as daemon:
            for sats in PAID:
                toy.chain.pay(ALPHA, sats)
                heights.append(toy.chain.mine().height)
            (coin,) = [coin for coin, sats in toy.chain.unspent(ALPHA).items() if sats == PAID[1]]
            change = PAID[1] - SPENT
            spend = toy.chain.spend([coin], [(STRANGER, SPENT - 100_000), (ALPHA, change), (BETA, 100_000)])
            toy.chain.mine(2)
            heights.append(toy.chain.reorg(2, keep=[spend]).height - 2)
            toy.chain.mine(8)
            toy.chain.pay(ALPHA, 77_000)
            await seen(daemon, toy.chain.height)
            assert await daemon.terminate() == 0
        return heights


async def seen(daemon: Daemon, height: int) -> None:
    """Until alpha is complete at that block and its unconfirmed payment is known."""

    async def there() -> bool:
        confirmed = await daemon.metric(
            "watcher_treasury_balance_satoshis", treasury="alpha", position="confirmed"
        )
        pending = await daemon.metric(
            "watcher_treasury_balance_satoshis", treasury="alpha", position="pending"
        )
        complete = await daemon.metric("watcher_treasury_complete_height", treasury="alpha")
        return (confirmed, pending, complete) == (sum(PAID) - SPENT, 77_000, height)

    await until(there, within=60, what="the whole story in the ledger")


class Published:
    """A folder with a config and a ledger, in which the command is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heights = asyncio.run(lived(folder))

    def report(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("report", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}
        command = [sys.executable, "-m", "watcher", "--config", str(self.folder / "watcher.toml")]
        return subprocess.run(
            [*command, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def page(self, *words: str) -> str:
        done = self.report("alpha", "--out", "page.html", *words)
        assert done.returncode == 0, done.stderr
        return (self.folder / "page.html").read_text()

    def unpacked(self, folder: Path, *words: str) -> Path:
        done = self.report("alpha", "--evidence", "evidence.zip", *words)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(self.folder / "evidence.zip") as packed:
            packed.extractall(folder)
        return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(tmp_path_factory.mktemp("published"))


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    """What a stranger sees: no package of ours, nothing from the environment."""
    return subprocess.run(
        [sys.executable, "-I", "-S", folder / "verify.py"],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_same_ledger_gives_the_same_bytes(published: Published) -> None:
    words = ["alpha", "--out", "page.html", "--evidence", "evidence.zip"]
    files = [published.folder / name for name in ("page.html", "evidence.zip")]
    assert published.report(*words).returncode == 0
    first = [file.read_bytes() for file in files]
    assert published.report(*words).returncode == 0
    assert [file.read_bytes() for file in files] == first


def test_the_page_says_what_is_where_and_by_whom(published: Published) -> None:
    page = published.page()
    assert f"{(sum(PAID) - SPENT) / 1e8:.8f} BTC" in page
    assert "4 transactions" in page
    assert "addresses published officially" in page
    assert "By the word of <bdi>home</bdi>" in page
    assert "1 address by <bdi>The first</bdi>" in page
    assert "read <time>2026-11-24</time>, licence: <bdi>CC0 &lt;1.0&gt;</bdi>" in page
    assert page.count("borne out") == 1
    assert "Tomorrow" not in page
    assert "0.00077000" not in page  # what is unconfirmed
    assert "Not affiliated" in page


def test_what_others_wrote_is_text(published: Published) -> None:
    page = published.page()
    assert "The &quot;&lt;i&gt;first&lt;/i&gt;&quot; &amp; others" in page
    assert "The &lt;b&gt;first&lt;/b&gt; &amp; only" in page


class Tags(html.parser.HTMLParser):
    """Every tag closed in its turn, and what would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "object"} or {"src", "href"} & dict(attrs).keys():
            self.loads.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_page_is_whole_and_loads_nothing(published: Published, lang: str) -> None:
    page = published.page("--lang", lang)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loads == []
    assert f'<html lang="{lang}">' in page
    assert not re.search(r"\{\w+\}", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))


def test_both_languages_say_the_same_things(published: Published) -> None:
    english, spanish = published.page("--lang", "en"), published.page("--lang", "es")
    figures = r"[0-9a-f]{64}|-?\d+\.\d{8}|bcrt1\w+"
    assert re.findall(figures, english) == re.findall(figures, spanish)
    assert "No es un consejo" in spanish


def test_a_moment_of_the_past(published: Published) -> None:
    page = published.page("--at", str(published.heights[1]))
    assert f"{sum(PAID[:2]) / 1e8:.8f} BTC" in page
    assert "2 transactions" in page
    assert "contradicted" in page  # the standing claim, by the balance of then
    assert "By the word of the servers" in page


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["alpha"], 2, "--out"),
        (["alhpa", "--out", "x.html"], 2, "alpha"),
        (["alpha", "--out", "x.html", "--at", "yesterday"], 2, "a block's height or a UTC day"),
        (["alpha", "--out", "x.html", "--at", "900000"], 1, "its balance is complete up to block"),
        (["alpha", "--out", "x.html", "--at", "2999-01-01"], 1, "that day is not over"),
        (["alpha", "--out", "x.html", "--at", "2010-01-01"], 1, "lies before the chain"),
        (["nowhere", "--out", "x.html"], 1, "no address of it is watched"),
        (["alpha", "--out", "no/such/x.html"], 2, "cannot be written"),
    ],
)
def test_what_cannot_be_reported(published: Published, words: list[str], code: int, said: str) -> None:
    done = published.report(*words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not (published.folder / "x.html").exists()


def test_a_bare_python_verifies_the_evidence(published: Published, tmp_path: Path) -> None:
    done = verified(published.unpacked(tmp_path))
    assert done.returncode == 0, done.stdout
    assert f"{sum(PAID) - SPENT} satoshis" in done.stdout
    assert done.stdout.endswith("all of it holds\n")
    assert all(f"block {height} " in done.stdout for height in published.heights)


def test_the_evidence_of_a_past_moment_verifies_too(published: Published, tmp_path: Path) -> None:
    done = verified(published.unpacked(tmp_path, "--at", str(published.heights[0])))
    assert done.returncode == 0, done.stdout
    assert f"{PAID[0]} satoshis" in done.stdout


def test_no_file_can_be_changed_by_a_byte_unnoticed(published: Published, tmp_path: Path) -> None:
    folder = published.unpacked(tmp_path)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 7 + 1 + 2 * 4
    for file in files:
        whole = file.read_bytes()
        middle = len(whole) // 2
        for at in {0, middle, len(whole) - 1}:
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            done = verified(folder)
            assert done.returncode == 1, (file, at, done.stdout)
        file.write_bytes(whole)
    assert verified(folder).returncode == 0


def _sums(folder: Path) -> None:
    """Make SHA256SUMS fit again, as a forger would."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    )
    done = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
    (folder / "SHA256SUMS").write_bytes(done.stdout)


def _replaced(name: str, pattern: str, by: str) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        text = (folder / name).read_text()
        changed = re.sub(pattern, by, text, count=1, flags=re.MULTILINE)
        assert changed != text
        (folder / name).write_text(changed)

    return forge


def _without_last_transaction(folder: Path) -> None:
    lines = (folder / "transactions.csv").read_text().splitlines(keepends=True)
    txid = lines.pop().split(",")[3]
    (folder / "transactions.csv").write_text("".join(lines))
    (folder / "transactions" / f"{txid}.hex").unlink()
    (folder / "branches" / f"{txid}.txt").unlink()


def _other_order(folder: Path) -> None:
    """The spend before what it spends, with figures that fit: in that order it would take nothing away."""
    told, *lines = (folder / "transactions.csv").read_text().splitlines()
    names, cells = told.split(","), [line.split(",") for line in reversed(lines)]
    balance = 0
    for line in cells:
        row = dict(zip(names, line, strict=True))
        amount = max(0, int(row["amount_sats"]))
        balance += amount
        line[names.index("amount_sats")], line[names.index("balance_sats")] = str(amount), str(balance)
    (folder / "transactions.csv").write_text("\n".join([told, *map(",".join, cells)]) + "\n")
    statement = json.loads((folder / "statement.json").read_text())
    (folder / "statement.json").write_text(json.dumps(statement | {"balance_sats": balance}))


def _other_branch(folder: Path) -> None:
    file = min((folder / "branches").iterdir())
    file.write_text("00" * 32 + "\n" + file.read_text())


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (_replaced("statement.json", r'"balance_sats": \d', '"balance_sats": 9'), "balance: "),
        (_replaced("headers.csv", r"^(\d+,\w{144})\w{8}", r"\g<1>01000003"), "its header lacks the work"),
        (_replaced("addresses.csv", r"bcrt1\w", "bcrt1l"), "it is not the address of its script"),
        (_replaced("transactions.csv", r"^(\d+),(\d+)", r"\1,9\2"), "it is not in block"),
        (_without_last_transaction, "balance: "),
        (_other_branch, "it is not in block"),
        (_other_order, "it is not listed in the order"),
    ],
)  # fmt: skip
def test_a_forger_who_mends_the_sums_is_found_too(
    published: Published, tmp_path: Path, forge: Callable[[Path], None], said: str
) -> None:
    folder = published.unpacked(tmp_path)
    forge(folder)
    _sums(folder)
    done = verified(folder)
    assert done.returncode == 1
    assert said in done.stdout, done.stdout


def test_a_text_that_looks_like_a_formula_is_none(published: Published, tmp_path: Path) -> None:
    assert ",'=main," in (published.unpacked(tmp_path) / "addresses.csv").read_text()


def test_the_evidence_says_when_an_address_was_read_and_under_which_licence(
    published: Published, tmp_path: Path
) -> None:
    rows = csv.DictReader((published.unpacked(tmp_path) / "addresses.csv").read_text().splitlines())
    assert {(row["read"], row["licence"]) for row in rows} == {("2026-11-24", "CC0 <1.0>")}


def test_the_history_becomes_samples_for_prometheus(published: Published) -> None:
    rows = json.loads(published.run("history", "alpha", "--format", "json").stdout)
    last = max(row["block_time_utc"] for row in rows if row["block_time_utc"])
    day = last[:10]
    told = published.run("history", "alpha", "--format", "openmetrics", "--since", day, "--until", day)
    lines = told.stdout.splitlines()
    assert lines[-1] == "# EOF"
    label = 'watcher_treasury_balance_satoshis{treasury="alpha",position="confirmed"}'
    assert lines[-2].startswith(f"{label} {sum(PAID) - SPENT} ")
