"""`watcher secret`."""

from __future__ import annotations

import click

from watcher.delivery.signing import new_secret


@click.command()
def secret() -> None:
    """Print a fresh signing secret for a webhook: `watcher secret > ops.secret`."""
    click.echo(new_secret())
