"""Every kind of endpoint, from the operator's file to the service: what it names is what is used."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.delivery.rig import SECRET, Receiver
from tests.delivery.samples import transaction
from tests.delivery.services import ACCESS, KINDS, TOKEN, Kind
from tests.delivery.test_conformance import group
from tests.delivery.test_mail import Post, serving
from watcher.app.wiring import reaches_of, senders
from watcher.config import load_config
from watcher.config.credentials import SecretProblem
from watcher.delivery.verdict import Delivered

if TYPE_CHECKING:
    from pathlib import Path

# Apprise imports what later Pythons will not have
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OUTFLOW = transaction("tx.seen", "outflow")
HEAD = """
network = "regtest"
state_directory = "state"
lang = "es"
[[sources]]
name = "home"
kind = "electrum"
url = "tcp://127.0.0.1:1"
[[treasuries]]
name = "el-salvador"
title = "Oficina Nacional del Bitcoin"
attribution = "self_published"
"""


def written(folder: Path, text: str, **files: str) -> Path:
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    path = folder / "watcher.toml"
    path.write_text(HEAD + text)
    return path


async def deliver(path: Path) -> list[object]:
    config = load_config(path, environ={"HOME": str(path.parent)})
    async with AsyncExitStack() as stack:
        made = senders(reaches_of(config, {}), config).values()
        ready = [await stack.enter_async_context(sender) for sender in made]
        return [await sender.send(group(OUTFLOW)) for sender in ready]


FORMS = {
    "webhook": 'url = "BASE/hook/path-token"\nsecret_file = "s"',
    "alertmanager": 'urls = ["BASE", "BASE/"]',
    "ntfy": 'url = "BASE"\ntopic = "treasury-7f3a"\ntoken_file = "access"',
    "telegram": 'url = "BASE"\ntoken_file = "token"\nchat = -100123',
    "slack": 'url_file = "u"',
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_a_kind_by_http(kind: Kind, tmp_path: Path) -> None:
    name = kind.name
    async with Receiver(otherwise=kind.service) as receiver:
        base = f"http://127.0.0.1:{receiver.port}"
        text = (
            f'[[endpoints]]\nname = "ops"\nkind = "{name}"\nallow_private = true\nheaders_file = "h"\n'
            + FORMS[name].replace("BASE", base)
        )
        path = written(
            tmp_path, text, s=SECRET, access=ACCESS, token=TOKEN, u=f"{base}/services/x", h="X-Tenant: 7"
        )
        assert await deliver(path) == [Delivered(200)]
        assert len(receiver.requests) == (2 if name == "alertmanager" else 1)
        assert all(request.headers["x-tenant"] == "7" for request in receiver.requests)
        if name != "webhook":
            assert b"Oficina Nacional del Bitcoin" in receiver.requests[0].body


async def test_mail(tmp_path: Path) -> None:
    async with serving(Post()) as post:
        text = f"""
[[endpoints]]
name = "ops"
kind = "email"
allow_private = true
lang = "en"
url = "smtp://127.0.0.1:{post.port}"
from = "Watcher <w@ops.example>"
to = ["ana@ops.example", "Bob <bob@ops.example>"]
"""
        assert await deliver(written(tmp_path, text)) == [Delivered(250)]
    ((recipients, mail),) = post.mails
    assert recipients == ["ana@ops.example", "bob@ops.example"]
    assert mail["subject"].startswith("[CRITICAL] Outflow")


async def test_apprise(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        text = '[[endpoints]]\nname = "ops"\nkind = "apprise"\nurl_file = "u"\n'
        path = written(tmp_path, text, u=f"json://127.0.0.1:{receiver.port}/x")
        assert await deliver(path) == [Delivered(None)]
        assert json.loads(receiver.requests[0].body)["title"].startswith("[CRÍTICO] Salida")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('kind = "apprise"\nurl_file = "u"', {"u": "hush://hush"}),
        ('kind = "slack"\nurl_file = "u"', {"u": "http://hush.example/x"}),
        ('kind = "slack"\nurl = "https://x/y"\nheaders_file = "h"', {"h": "no colon hush"}),
        ('kind = "telegram"\ntoken_file = "missing"\nchat = 1', {}),
    ],
)
async def test_what_cannot_be_used_is_refused_without_being_quoted(
    tmp_path: Path, text: str, files: dict[str, str]
) -> None:
    path = written(tmp_path, f'[[endpoints]]\nname = "ops"\n{text}\n', **files)
    with pytest.raises(SecretProblem) as refused:
        await deliver(path)
    assert "hush" not in str(refused.value)
