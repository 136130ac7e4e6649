"""What people write in other ways than the samples: taken where its meaning is plain, else told in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest

from watcher.config.models import TopicWord
from watcher.core.rules_types import Topic

if TYPE_CHECKING:
    from .conftest import Folder

MAIL = """
[[endpoints]]
name = "mail"
kind = "email"
url = "smtps://user@mail.example:465"
password_file = "password"
from = "watcher@example.org"
"""

EXTRA = {
    "dormant": "dormant_days = 365\n",
    "balance_below": 'btc = "1"\n',
    "balance_above": 'btc = "1"\n',
}
TOPIC_WORDS = get_args(TopicWord)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"board@example.org"', ("board@example.org",)),
        ('["board@example.org", "ops@example.org"]', ("board@example.org", "ops@example.org")),
    ],
)
def test_mail_goes_to_one_address_or_to_a_list(folder: Folder, written: str, read: tuple[str, ...]) -> None:
    assert folder.load(f"{MAIL}to = {written}\n").endpoints[0].options["to"] == read


@pytest.mark.parametrize("written", ["[]", "5", "[5]", '["nobody"]', '"nobody"'])
def test_mail_to_nobody_is_one_error_at_its_line(folder: Folder, written: str) -> None:
    (error,) = folder.errors(f"{MAIL}to = {written}\n")
    assert error.startswith("watcher.toml:8: endpoints[0].to: ")


def test_a_fixed_rate_is_a_text_or_an_integer(folder: Folder) -> None:
    fiat = '[fiat]\ncurrency = "USD"\nkind = "fixed"\nrate = '
    for written, read in (("90244", "90244"), ('"90244.50"', "90244.50")):
        found = folder.load(fiat + written).fiat
        assert found is not None
        assert found.rate == read
    (error,) = folder.errors(f"{fiat}90244.5")
    assert error.startswith('watcher.toml:4: fiat.rate: must be a decimal in quotes, "90244.50"')


def test_a_currency_is_told_in_words(folder: Folder) -> None:
    assert folder.errors('[fiat]\ncurrency = "usd"\nkind = "fixed"\nrate = "5"') == [
        'watcher.toml:2: fiat.currency: must be three capital letters, such as "USD"'
    ]


@pytest.mark.parametrize("key", ["external_url", "explorer"])
@pytest.mark.parametrize("tail", ["?token=1", "#top"])
def test_what_links_begin_with_has_nothing_behind_its_path(folder: Folder, key: str, tail: str) -> None:
    (error,) = folder.errors(f'[http]\n{key} = "https://watch.example/{tail}"')
    assert error.startswith(f"watcher.toml:2: http.{key}: has only a scheme, a host, a port and a path")


@pytest.mark.parametrize("key", ["external_url", "explorer"])
def test_what_links_begin_with_tells_nobody_a_password(folder: Folder, key: str) -> None:
    (error,) = folder.errors(f'[http]\n{key} = "https://user:hunter2@watch.example/"')
    assert "hunter2" not in error
    assert error.startswith(f"watcher.toml:2: http.{key}: ")


def test_a_rule_may_be_about_every_word_of_the_language(folder: Folder) -> None:
    rule = "\n".join(
        f'[[rules]]\nname = "{topic}"\non = ["{topic}"]\n{EXTRA.get(topic, "")}' for topic in TOPIC_WORDS
    )
    told = {topic for rule in folder.load(rule).rules for topic in rule.on}
    assert told == set(Topic)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("\\u200b{}", "holds a character that no address has, perhaps one that cannot be seen"),
        (
            "bitcoin:{}?amount=1",
            "a payment URI: write the address alone, without bitcoin: and what follows ?",
        ),
        ("{} ", "holds a space or another blank, which no address has"),
    ],
)
def test_what_was_copied_with_an_address_is_told(folder: Folder, written: str, told: str) -> None:
    address = written.format("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    (error,) = folder.errors(f'[[treasuries]]\nname = "a"\n[[treasuries.watch]]\naddress = "{address}"')
    assert error == f"watcher.toml:4: treasuries[0].watch[0].address: {told}"
