"""`daily-report`: what was decided on one day."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import click
from asyncpg import PostgresError
from msgspec import json
from sqlalchemy.exc import SQLAlchemyError

from fraudapp.report import as_text, daily_report
from fraudapp.settings import load


@click.command("daily-report")
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="UTC day, YYYY-MM-DD; default: today."
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
def command(day: datetime | None, style: str) -> None:
    """Report the decisions of one UTC day, from Postgres."""
    chosen = (day or datetime.now(timezone.utc)).date()
    try:
        report = asyncio.run(daily_report(load().postgres_url.get_secret_value(), chosen))
    except (SQLAlchemyError, PostgresError, OSError) as exc:
        raise click.ClickException(
            f"Postgres (FRAUD_POSTGRES_URL) cannot be read: {exc}; has a worker ever run on it?"
        ) from exc
    click.echo(json.format(json.encode(report)).decode() if style == "json" else as_text(report))
