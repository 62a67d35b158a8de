"""Labels in Postgres: one row for each transaction and source, as the newest record says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from fraudapp.labels.records import LabelledRecord
from fraudapp.settings import Settings
from fraudapp.sinks.base import unavailable
from fraudapp.sinks.postgres.connection import (
    FAILURES,
    connections,
    raw_connection,
    refusal,
    tls,
)
from fraudapp.sinks.postgres.migrate import migrate
from fraudapp.sinks.postgres.schema import LabelRow

_TIMEOUT: Final = 10.0
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
_TABLE: Final = cast(Table, LabelRow.__table__)
_NAMES: Final = [column.name for column in _TABLE.columns]
_ARRAYS: Final = ", ".join(
    f"${place}::{column.type.compile(dialect=_DIALECT)}[]"
    for place, column in enumerate(_TABLE.columns, start=1)
)
_KEY: Final = [column.name for column in _TABLE.primary_key]
_REST: Final = [name for name in _NAMES if name not in _KEY]
_UPSERT: Final = f"""
    INSERT INTO labels ({", ".join(_NAMES)})
    SELECT * FROM unnest({_ARRAYS})
    ON CONFLICT ({", ".join(_KEY)}) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _REST)}
    WHERE labels.version < excluded.version
"""  # noqa: S608 - made of the model's own column names


class PostgresLabels:
    """Keeps labels in the table `labels`; opening it migrates the schema."""

    name = "postgres"
    max_batch = 1_000
    linger = 0.0

    def __init__(self, settings: Settings) -> None:
        # There are few labels: no connection is held open between them.
        self._engine = connections(
            settings.postgres_url.get_secret_value(),
            {"timeout": _TIMEOUT, "command_timeout": _TIMEOUT, **tls(settings)},
            poolclass=NullPool,
        )

    async def open(self) -> None:
        """See `LabelStore.open`."""
        with unavailable(self.name, *FAILURES, refusal=refusal):
            await migrate(self._engine)

    async def close(self) -> None:
        """See `LabelStore.close`."""
        await self._engine.dispose()

    async def keep(self, records: Sequence[LabelledRecord]) -> None:
        """See `LabelStore.keep`."""
        rows = rows_of(records)
        if not rows:
            return
        async with raw_connection(self._engine, self.name) as connection:
            await connection.execute(_UPSERT, *zip(*rows, strict=True))


def rows_of(records: Iterable[LabelledRecord]) -> list[tuple[Any, ...]]:
    """Return the values of `LabelRow`'s columns for the newest record of each transaction.

    They are in the order of the primary key, so that two workers that write the same rows wait for
    each other, and do not lock each other out.
    """
    newest: dict[str, LabelledRecord] = {}
    for each in records:
        known = newest.setdefault(each.labelled.transaction_id, each)
        if known.labelled.version < each.labelled.version:
            newest[each.labelled.transaction_id] = each
    return sorted(row for each in newest.values() for row in _rows(each))


def _rows(record: LabelledRecord) -> list[tuple[Any, ...]]:
    found = record.labelled
    return [
        (
            found.transaction_id,
            source.value,
            said.label,
            said.at,
            said.by,
            source is found.source,
            record.partition,
            said.offset,
            found.version,
            found.decision.decided_at,
        )
        for source, said in found.labels.items()
    ]
