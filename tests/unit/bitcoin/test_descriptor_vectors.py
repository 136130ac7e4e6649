"""Descriptors held against the vectors of BIP 32 and BIP 380 to 389."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from embit.descriptor.checksum import add_checksum

from watcher.bitcoin.descriptors import parse_descriptor
from watcher.bitcoin.networks import Network
from watcher.bitcoin.types import Malformed

BIPS = json.loads((Path(__file__).parents[2] / "vectors/bip_vectors.json").read_bytes())
_LISTED = re.compile(r"^(\*+) .*<tt>(.*?)</tt>$", re.MULTILINE)
_PRIVATE = re.compile(r"[xt]prv|\b[5KL][1-9A-HJ-NP-Za-km-z]{50,51}\b")
_HARDENED_CHILD = re.compile(r"pub\w+(/[\d;<>]+)*/(\d+|\*)[h']")


def _text(bip: str) -> str:
    text: str = BIPS[bip]["test_vector_text"]
    return html.unescape(text)


def _valid(text: str) -> dict[str, list[str]]:
    """Each descriptor of the valid part with what is listed under it."""
    found: dict[str, list[str]] = {}
    for bullets, content in _LISTED.findall(re.split(r"\nInvalid", text)[0]):
        if bullets == "*":
            found[content] = last = []
        else:
            last.append(content)
    return found


def _invalid(text: str) -> list[str]:
    return [content for _, content in _LISTED.findall(text.partition("\nInvalid")[2])]


def _refusal(text: str, network: Network = Network.MAINNET) -> str:
    with pytest.raises(Malformed) as refused:
        parse_descriptor(text, network)
    return str(refused.value)


@pytest.mark.parametrize(
    ("bip", "readable"),
    [("bip381", 8), ("bip382", 5), ("bip383", 4), ("bip385", 4), ("bip386", 2), ("bip387", 2)],
)
def test_the_bips_descriptors_give_their_scripts(bip: str, readable: int) -> None:
    read = 0
    for text, scripts in _valid(_text(bip)).items():
        if _PRIVATE.search(text):
            assert "private" in _refusal(text)
        elif _HARDENED_CHILD.search(text):
            assert "hardened" in _refusal(text)
        elif scripts:
            parsed = parse_descriptor(text, Network.MAINNET)
            assert [parsed.script(0, index).hex() for index in range(len(scripts))] == scripts, text
            assert parsed.is_ranged == (len(scripts) > 1)
            read += 1
    assert read >= readable


@pytest.mark.parametrize("bip", ["bip381", "bip382", "bip383", "bip385", "bip386", "bip387", "bip389"])
def test_what_the_bips_call_invalid_is_refused(bip: str) -> None:
    invalid = _invalid(_text(bip))
    for text in invalid:
        _refusal(text)
        _refusal(add_checksum(text))
    assert len(invalid) >= (0 if bip in {"bip383", "bip387"} else 4)


def test_a_multipath_descriptor_is_its_expansions_in_order() -> None:
    expanded = 0
    for text, expansions in _valid(_text("bip389")).items():
        if _PRIVATE.search(text):
            continue
        parsed = parse_descriptor(text, Network.MAINNET)
        assert parsed.branches == len(expansions)
        for branch, expansion in enumerate(expansions):
            single = parse_descriptor(expansion, Network.MAINNET)
            assert (single.branches, single.is_ranged) == (1, parsed.is_ranged)
            assert [parsed.script(branch, i) for i in range(3)] == [single.script(0, i) for i in range(3)]
        expanded += 1
    assert expanded >= 5


def test_bip_380s_key_expressions() -> None:
    text = _text("bip380").partition("The following tests cover key expressions")[2]
    valid, _, invalid = text.partition("Invalid expression")
    for _, key in _LISTED.findall(valid):
        if _PRIVATE.search(key):
            assert "private" in _refusal(f"pkh({key})")
        elif _HARDENED_CHILD.search(key):
            assert "hardened" in _refusal(f"pkh({key})")
        else:
            parse_descriptor(f"pkh({key})", Network.MAINNET)
    refused = [_refusal(f"pkh({key})") for _, key in _LISTED.findall(invalid)]
    assert len(refused) >= 12


@pytest.mark.parametrize(
    ("parent", "index", "child"),
    [
        # BIP 32, test vectors 1 and 2 (BSD-2-Clause): the steps that are not hardened
        (
            "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
            1,
            "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
        ),
        (
            "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
            2,
            "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
        ),
        (
            "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
            1_000_000_000,
            "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
        ),
        (
            "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
            0,
            "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH",
        ),
    ],
)
def test_children_are_bip_32s(parent: str, index: int, child: str) -> None:
    descended = parse_descriptor(f"pk({parent}/{index})", Network.MAINNET)
    assert descended.script(0, 0) == parse_descriptor(f"pk({child})", Network.MAINNET).script(0, 0)
    ranged = parse_descriptor(f"pk({parent}/*)", Network.MAINNET)
    assert ranged.script(0, index) == descended.script(0, 0)
