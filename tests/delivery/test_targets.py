"""We connect to public addresses, to private ones where allowed, and to some never."""

from __future__ import annotations

import socket

import pytest

from watcher.delivery.targets import ForbiddenAddress, Reach, gate, permitted, reach_of

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
LOCAL = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "100.100.100.200",
    "168.63.129.16",
    "fd00:ec2::254",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "::ffff:0.0.0.0",
    "255.255.255.255",
    "240.0.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "192.0.2.1",
    "198.18.0.1",
    "192.0.0.192",
    "ff02::1",
    "ff0e::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "2001:db8::1",
    "2001::1",
    "100::1",
    "64:ff9b:1::a00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "not an address",
    "127.1",
    "2130706433",
    "0x7f000001",
    "",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_reached(text: str) -> None:
    assert reach_of(text) is Reach.PUBLIC
    assert permitted(text, allow_private=False)


@pytest.mark.parametrize("text", LOCAL)
def test_private_addresses_need_the_operators_word(text: str) -> None:
    assert reach_of(text) is Reach.LOCAL
    assert not permitted(text, allow_private=False)
    assert permitted(text, allow_private=True)


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_reached(text: str) -> None:
    assert not permitted(text, allow_private=False)
    assert not permitted(text, allow_private=True)


def test_the_gate_makes_no_socket_for_a_forbidden_address() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))
    with pytest.raises(ForbiddenAddress):
        gate(allow_private=True)(info)
    allowed = gate(allow_private=True)((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    allowed.close()
