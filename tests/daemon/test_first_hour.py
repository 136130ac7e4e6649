"""The first hour as the README shows it: what is printed there is what the program prints.

Nobody but the network itself has mainnet's headers, so the servers that `init` names cannot be stood in for
as they are. What `init` wrote is therefore moved to a private chain, with the same twenty scripts, asked of
two servers over TLS under the names of the presets; nothing else of it is changed.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.daemon.places import address, events_are, fresh
from tests.daemon.test_first_config import watcher
from tests.stack.daemon import Daemon
from tests.stack.processes import free_port, until
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum
from watcher.config.load import load_config
from watcher.config.starter import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT: Final = Path(__file__).parents[2]
TLS: Final = ROOT / "tests" / "toy" / "tls"
# what is another each time: instants, hashes, paths, where it listens
_PASSING: Final = (
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "INSTANT"),
    (r"(?<=\()[0-9a-f]{12}(?=\))|\b[0-9a-f]{16}\b|\b[0-9a-f]{64}\b", "HASH"),
    (r"(?<=Config: )\S+|(?<=State: )\S+", "PATH"),
    (r"version \S+|SQLite [\d.]+", "VERSION"),
    (r" \(about \d+ \w+ left\)", ""),
)


def shown() -> list[str]:
    """What the README has the screen show, block by block, without what is another each time."""
    readme = (ROOT / "README.md").read_text()
    (section,) = re.findall(r"^### The first hour\n(.*?)^##", readme, re.MULTILINE | re.DOTALL)
    return [steady(block) for block in re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)]


def steady(text: str) -> str:
    for pattern, word in _PASSING:
        text = re.sub(pattern, word, text)
    return text.strip()


def moved(folder: Path, servers: Mapping[str, ToyElectrum]) -> tuple[str, list[bytes]]:
    """What `init` wrote, on the private chain; and the scripts it watches."""
    file = folder / "watcher.toml"
    (treasury,) = load_config(file, environ=os.environ | {"HOME": str(folder)}).treasuries
    scripts = [script.script_pubkey for script in treasury.initial_scripts]
    head = f'name = "{treasury.name}"\ntitle = "{treasury.title}"\nattribution = "{treasury.attribution}"\n'
    entry = head + "".join(f'[[watch]]\naddress = "{address(script)}"\n' for script in scripts)
    (folder / "el-salvador.toml").write_text(entry)
    text = file.read_text()
    changes = {
        r'^network = "mainnet"': 'network = "regtest"',
        r"^catalogue = .*": 'include = ["el-salvador.toml"]',
        r"127\.0\.0\.1:9342": f"127.0.0.1:{free_port()}",
    } | {
        f'^preset = "{name}".*': f'kind = "electrum"\nurl = "{server.url}"\noperator = "{name}"'
        for name, server in servers.items()
    }
    for pattern, by in changes.items():
        text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
        assert count == 1, pattern
    return text, scripts


def hesitant(server: ToyElectrum) -> None:
    """It hears nothing more from the first history on that it is asked for, until `resume`."""

    def stop(_params: list[Any], honest: Any) -> Any:
        server.faults.deaf = True
        return honest

    server.faults.answers["blockchain.scripthash.get_history"] = stop


def resume(server: ToyElectrum) -> None:
    server.faults.answers.clear()
    server.hear()


def tls() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(TLS / "server.pem")
    return made


async def screen(daemon: Daemon, awaited: str) -> str:
    """What `status` shows, as soon as it is what is awaited; else what it showed last.

    The two servers come one after the other, and each is asked for its scripts only when it is up.
    """
    deadline = time.monotonic() + 60
    while True:
        seen = steady((await daemon.command("status")).out)
        if seen == awaited or time.monotonic() > deadline:
            return seen


async def test_the_screen_shows_what_the_readme_says(tmp_path: Path) -> None:
    at_once, reading, read, later = shown()
    began = time.monotonic()
    made = watcher(tmp_path, "init", "--treasury", "el-salvador")
    assert (made.returncode, made.stderr) == (0, "")
    assert steady(made.stdout) == at_once
    chain = ToyChain(200)
    async with ToyElectrum(chain, tls=tls()) as one, ToyElectrum(chain, tls=tls()) as two:
        text, scripts = moved(tmp_path, dict(zip(PUBLIC, (one, two), strict=True)))
        for number, script in enumerate(scripts):
            chain.pay(script, 10_000 + number)
        chain.mine()
        hesitant(one)
        hesitant(two)
        environment = {"HOME": str(tmp_path), "SSL_CERT_FILE": str(TLS / "authority.pem")}
        async with Daemon(text, tmp_path, environment=environment) as daemon:

            async def one_is_asked() -> bool:  # the other only has to agree
                return one.faults.deaf or two.faults.deaf

            await until(one_is_asked, within=60, what="a first reading under way")

            assert await screen(daemon, reading) == reading
            resume(one)
            resume(two)
            await fresh(daemon)
            print(f"first reading complete {time.monotonic() - began:.1f} s after `init`")
            assert await screen(daemon, read) == read
            paid = chain.pay(scripts[0], 100_000)
            await events_are(daemon, 2)
            chain.mine()
            await events_are(daemon, 3)
            told = (await daemon.command("events")).out
            assert steady(told) == later
            assert told.count(paid) == 2
            assert (await daemon.command("verify")).code == 0
