"""Schema migrations of the history, run at start by whichever worker comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

import fraudapp

_LOCK: Final = 0x66726175645F6170  # "fraud_ap": any number that only this program uses


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the package's own migrations, on an open connection."""
    config = Config()
    folder = Path(fraudapp.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date, under a lock: any number of workers may call it at once."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    # Held until the transaction ends, which also makes all migrations one transaction.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    command.upgrade(alembic_config(connection), "head")
