"""`watcher init`: a first config that works."""

from __future__ import annotations

import contextlib
import grp
import ipaddress
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from watcher.bitcoin.networks import Network
from watcher.cli.failures import ExitCode, Failure
from watcher.config.errors import ConfigErrors, nearest
from watcher.config.load import catalogue, load_config
from watcher.config.presets import PRESETS, Preset, preset
from watcher.config.starter import PUBLIC, Own, Server, starter
from watcher.service.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watcher.config.errors import ConfigError
    from watcher.config.settings import Config

FIRST_TREASURY: Final = "el-salvador"
HERE: Final = "watcher.toml"
SERVICE: Final = "treasury-watcher"
STATE: Final = f"/var/lib/{SERVICE}"
_OPTIONS: Final = {"address": "--address", "xpub": "--xpub", "descriptor": "--xpub", "proxy": "--tor"}


@click.command()
@click.option("--treasury", metavar="NAME", help=f"A treasury of the catalogue; by default {FIRST_TREASURY}.")
@click.option("--address", metavar="A", help="An address of your own.")
@click.option("--xpub", metavar="X", help="An extended public key of your own, or a descriptor.")
@click.option("--source", metavar="URL", help="The server to ask: ssl://, tcp://, or https:// (Esplora).")
@click.option("--tor", is_flag=True, help="Ask through Tor, at 127.0.0.1:9050.")
@click.option(
    "--network",
    type=click.Choice([str(network) for network in Network]),
    default="mainnet",
    show_default=True,
)
@click.option("--yes", is_flag=True, help="Let public servers learn your own addresses.")
@click.pass_context
def init(
    context: click.Context,
    *,
    treasury: str | None,
    address: str | None,
    xpub: str | None,
    source: str | None,
    tor: bool,
    network: str,
    yes: bool,
) -> None:
    """Write a commented config that works: a published treasury, or coins of your own.

    It goes to the config file: --config, else $TREASURY_WATCHER_CONFIG, else /etc/treasury-watcher for root
    and ./watcher.toml for anybody else. A file that is there is never overwritten. A published treasury is
    asked for at two public servers that different people run, unless --source names one. Your own coins need
    a --source of your own: a public server would learn them, which takes --yes.
    """
    watched = _watched(treasury, address, xpub)
    servers = _servers(Network(network), watched, source, yes=yes)
    if tor and any(_is_near(server.url) for server in servers):
        raise _refused("--tor: the server is in your own network, where Tor does not lead")
    path = _path(context)
    _check_vacant(path)
    installed = path.is_relative_to("/etc")
    text = starter(
        network=Network(network),
        state=STATE if installed else None,
        servers=servers,
        watched=watched,
        tor=tor,
    )
    config = _checked(text)
    _write(path, text, own=isinstance(watched, Own))
    click.echo("\n".join(_report(context, path, config, servers, tor=tor, installed=installed)))


def _check_vacant(path: Path) -> None:
    try:
        vacant = not path.exists()
    except OSError as error:
        raise _refused(f"{path} cannot be written: {error.strerror}") from None
    if not vacant:
        raise _refused(f"{path} is there already and is left as it is; name another with --config")


def _watched(treasury: str | None, address: str | None, xpub: str | None) -> str | Own:
    if sum(given is not None for given in (treasury, address, xpub)) > 1:
        raise _refused("give one of --treasury, --address, --xpub; the config can have more later")
    if address is not None:
        return Own("address", address)
    if xpub is not None:
        return Own("descriptor" if "(" in xpub else "xpub", xpub)
    name = FIRST_TREASURY if treasury is None else treasury
    known = catalogue()
    if name not in known:
        raise _refused(
            f"--treasury: no treasury of the catalogue has the name {name[:64]!a}{nearest(name, known)}"
        )
    return name


def _servers(
    network: Network, watched: str | Own, source: str | None, *, yes: bool
) -> tuple[Server | Preset, ...]:
    own = isinstance(watched, Own)
    if source is None:
        if own and not yes:
            raise _refused(
                "a public server would learn your addresses, and that they are one owner's: name your own "
                "server with --source, or say --yes"
            )
        if network is not Network.MAINNET:
            raise _refused(f"no public server of {network} comes with the package: name one with --source")
        return tuple(map(preset, PUBLIC))
    known = next((found.name for found in PRESETS.values() if _host(found.url) == _host(source)), None)
    if own and known and not yes:
        raise _refused(
            f"--source: {known} is a public server and would learn your addresses: name your own or say --yes"
        )
    return (Server("home" if own and not known else known or "source", source, trusted=own and not known),)


def _host(url: str) -> str | None:
    with contextlib.suppress(ValueError):
        return urlsplit(url).hostname
    return None


def _is_near(url: str) -> bool:
    host = _host(url) or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_private
    return host == "localhost"


def _path(context: click.Context) -> Path:
    path: Path = context.obj
    top = context.find_root()
    if top.get_parameter_source("path") is ParameterSource.DEFAULT and os.geteuid() != 0:
        return Path(HERE)
    return path


def _checked(text: str) -> Config:
    """The config of this text; what is wrong with it came from the command line."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / HERE
        file.write_text(text)
        try:
            return load_config(file, environ=os.environ)
        except ConfigErrors as found:
            raise _refused(*dict.fromkeys(map(_error, found.errors))) from None


def _error(error: ConfigError) -> str:
    key = error.key.rpartition(".")[2]
    option = "--source" if error.key.startswith("sources") else None
    return f"{_OPTIONS.get(key) or option or error.key}: {error.text}"


def _write(path: Path, text: str, *, own: bool) -> None:
    """Make the file, whole or not at all. Whose coins they are is nobody else's business."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            _give_to_service(file.fileno(), private=own)
            os.link(file.name, path)
    except FileExistsError:
        raise _refused(f"{path} is there already and is left as it is") from None
    except OSError as error:
        raise _refused(f"{path} cannot be written: {error.strerror}") from None


def _give_to_service(file: int, *, private: bool) -> None:
    """Root's file is read by the service's group, as the installer has it; anybody else's by its owner."""
    os.fchmod(file, 0o600 if private else 0o644)
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            os.fchown(file, 0, grp.getgrnam(SERVICE).gr_gid)
            os.fchmod(file, 0o640)


def _report(
    context: click.Context,
    path: Path,
    config: Config,
    servers: tuple[Server | Preset, ...],
    *,
    tor: bool,
    installed: bool,
) -> Iterator[str]:
    yield f"{path} is written."
    for treasury in config.treasuries:
        count = len(treasury.initial_scripts)
        yield f"It watches {treasury.name} ({treasury.title}): {counted(count, 'script')}."
        if not count:
            yield "Nobody has published an address of it: its claims are shown, and nothing can be verified."
    where = "not where you are" if tor else "your network address"
    for server, source in zip(servers, config.sources, strict=True):
        own = isinstance(server, Server) and server.trusted
        whose = "your own server" if own else f"run by {source.operator or 'whom you know'}"
        yield f"{source.url}, {whose}, learns which addresses you ask for, that one person asks, and {where}."
    said = context.find_root().get_parameter_source("path")
    named = said is ParameterSource.ENVIRONMENT or (said is ParameterSource.DEFAULT and path != Path(HERE))
    command = "watcher" if named else f"watcher --config {path}"
    yield "Next:"
    yield f"  {command} check            what it watches, and whether bitcoinlib reads it alike"
    yield f"  {command} check --online   whether these servers answer"
    yield f"  systemctl start {SERVICE}" if installed else f"  {command} run"
    yield f"  {command} status           and http://{config.http.listen}/"


def _refused(*lines: str) -> Failure:
    return Failure(ExitCode.USAGE, *lines)
