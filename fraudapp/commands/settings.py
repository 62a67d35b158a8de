"""`settings`: lists every setting and checks those that are set."""

from __future__ import annotations

import click

from fraudapp.settings import described, load


@click.command("settings")
@click.option("--markdown", is_flag=True, help="As the table in fraudapp/README.md.")
def command(markdown: bool) -> None:
    """List every environment variable that is read, with its default and meaning.

    Invalid values are reported at the end, with exit code 1.
    """
    if markdown:
        click.echo("| variable | default | meaning |\n| --- | --- | --- |")
    for name, default, meaning in described():
        if markdown:
            click.echo(f"| `{name}` | {default and f'`{default}`'} | {meaning} |")
        else:
            click.echo(f"{name}={default}\n    {meaning}")
    load()
