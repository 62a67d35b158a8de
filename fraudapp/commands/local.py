"""`local`: the embedded stack, with every server from a wheel on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fraudapp.cli.parameters import Finite

PORT = click.IntRange(1, 65535)
"""Type of an option that takes a TCP port."""


@click.command("local")
@click.option("--web-port", type=PORT, default=8000, show_default=True)
@click.option("--broker-port", type=PORT, default=9092, show_default=True)
@click.option(
    "--rate",
    type=Finite(min=0),
    default=200.0,
    show_default=True,
    help="Sample transactions a second; 0 for none.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".fraudapp"),
    show_default=True,
)
@click.option(
    "--schema",
    metavar="NAME_OR_FILE",
    help="What transactions are made of; see `fraudapp schema list`. Default: FRAUD_SCHEMA, or "
    "paysim.",
)
def command(
    web_port: int, broker_port: int, rate: float, data_dir: Path, schema: str | None
) -> None:
    """Run the embedded stack: broker, Postgres, Redis, a worker and a sample of transactions.

    Ctrl-C stops everything. Each run begins empty; only models and passwords are kept.
    """
    try:
        from fraudapp.local.stack import Options, run
    except ImportError as exc:
        raise click.ClickException(str(exc)) from exc
    sys.exit(run(Options(data_dir, broker_port, web_port, rate, schema)))
