"""Schema migrations of Postgres, run at start by whichever worker comes first.

Workers of several versions share one database during a rolling upgrade, and after a rollback. So a
migration only adds: nullable columns, tables, functions. A column, table or function that is no
longer used is dropped by a later version than the first that does not use it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from fraudapp.sinks.base import AccessDenied
from fraudapp.sinks.postgres.schema import DecisionRow

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

HEAD: Final = "0009"
"""The latest revision."""
_LOCK_ID: Final = 0x66726175645F6170  # "fraud_ap": any number that only this program uses


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for the package's own migrations, on an open connection."""
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema up to date, under a lock: any number of workers may call it at once.

    A schema of a newer version is left as it is. Raises `AccessDenied` if it lacks columns or
    functions that this version needs.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    # Held until the transaction ends, which also makes all migrations one transaction.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK_ID})
    found = _revisions(connection)
    if found == [HEAD]:
        return
    # This import is slow, and most starts find the schema up to date.
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    if newer := sorted(set(found) - known):
        _use(connection, newer)
    else:
        command.upgrade(config, "head")


def _revisions(connection: Connection) -> list[str]:
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _use(connection: Connection, newer: Sequence[str]) -> None:
    columns = ", ".join(column.name for column in DecisionRow.__table__.columns)
    where = f"the history has schema {', '.join(newer)}, which is newer than this version"
    try:
        connection.execute(
            text(f"SELECT {columns} FROM find_decisions('{{}}')")  # noqa: S608 - the model's own
        )
    except ProgrammingError as exc:
        raise AccessDenied(f"{where}, and lacks what it needs: {exc.orig}") from exc
    log.info("%s; it has all that it needs", where)
