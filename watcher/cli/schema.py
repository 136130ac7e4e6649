"""`watcher schema`."""

from __future__ import annotations

import click

from watcher.config.schema import config_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of the config, for editors: `watcher schema > schema.json`."""
    click.echo(config_schema(), nl=False)
