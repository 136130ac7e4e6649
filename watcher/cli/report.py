"""`watcher report`: a treasury at a block, to be published, and the evidence for it."""

from __future__ import annotations

import os
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watcher import __version__
from watcher.cli.failures import ExitCode, Failure
from watcher.cli.from_daemon import no_treasury
from watcher.cli.setup import pass_setup
from watcher.ledger.evidence import NoEvidenceError, evidence
from watcher.ledger.queries import one_moment, treasuries
from watcher.report.archive import archive
from watcher.report.claims import judged
from watcher.report.page import report as page
from watcher.service.numbers import counted

if TYPE_CHECKING:
    from watcher.cli.setup import Setup

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("treasury")
@click.option("--at", metavar="HEIGHT|DATE", help="At the end of this block or UTC day; default: now.")
@click.option("--lang", type=click.Choice(["en", "es"]), help="The page's language; default: the config's.")
@click.option("--out", type=_FILE, help="Write the page here: one HTML file that needs nothing else.")
@click.option("--evidence", "packed", type=_FILE, help="Write the evidence here: a zip archive.")
@pass_setup
def report(
    setup: Setup, *, treasury: str, at: str | None, lang: str | None, out: Path | None, packed: Path | None
) -> None:
    """Write what a treasury holds, with every transaction and address, and the evidence for it.

    The same ledger gives the same bytes, and with --at it does so for ever, unless the watch list changes.
    The archive has the raw transactions and a short program, verify.py, to read and to run on them.
    The ledger itself is read, also beside a daemon.
    """
    if out is None and packed is None:
        raise click.UsageError("say where to: --out FILE.html, --evidence FILE.zip, or both")
    moment = _moment(at)
    config = setup.config
    claims = next((t.claims for t in config.treasuries if t.name == treasury), ())
    with setup.ledger() as ledger, one_moment(ledger):
        names = [row.name for row in treasuries(ledger)]
        if treasury not in names:
            raise no_treasury(treasury, names)
        try:
            found = evidence(ledger, treasury, moment)
        except NoEvidenceError as none:
            raise Failure(ExitCode.DOES_NOT_HOLD, f"{treasury}: {none}") from None
        spoken = lang or config.lang
        text = page(found, list(judged(ledger, found, claims, spoken)), lang=spoken, version=__version__)
    if out is not None:
        _write(out, text.encode())
        click.echo(
            f"{out}: {treasury} at block {found.height}, {counted(len(found.transactions), 'transaction')}"
        )
    if packed is not None:
        _write(packed, archive(found))
        click.echo(f"{packed}: unpack it and run: python3 -I verify.py")


def _moment(text: str | None) -> int | date | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "a block's height or a UTC day, as in 2026-11-24", param_hint="--at"
        ) from None


def _write(path: Path, content: bytes) -> None:
    """Put it there whole or not at all, in the place of what was there."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise Failure(ExitCode.USAGE, f"{path} cannot be written: {error.strerror}") from None
