"""Partitions of the table `decisions` in Postgres: one for each UTC day, and a default partition.

They are not Kafka's: a partition of a day can be dropped at once. A decision of a day without a
partition is kept in the default partition, so that no save depends on `maintain` having run.
`maintain` moves such rows into a partition of their day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Final

from sqlalchemy import Connection, text

DEFAULT_PARTITION: Final = "decisions_rest"
DAYS_AHEAD: Final = 7
"""Days for which partitions are made in advance, in case that no worker runs for so long."""
MAX_DAYS_AHEAD: Final = 31
"""Days ahead up to which a day gets a partition.

Later decisions were stamped by a wrong clock; they stay in the default partition."""
MAX_NEW_PARTITIONS: Final = 100
"""Partitions made in one transaction, at most: each takes locks, and Postgres has only so many."""
_NAME: Final = re.compile(r"decisions_(\d{4})(\d\d)(\d\d)")
_LOCK_ID: Final = 0x66726175645F7061  # "fraud_pa": any number that only this program uses
_LOCK_TIMEOUT: Final = "5s"
"""Longest wait for a lock: later requests for a table queue behind one that waits for its lock."""


def maintain(connection: Connection, today: date) -> None:
    """Make the partitions that are missing: coming days first, then days in the default one.

    Any number of workers may call it at once, each in a transaction of its own. A call makes
    `MAX_NEW_PARTITIONS` partitions at most, and leaves others to the next.
    """
    _take_turn(connection)
    coming = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    in_default = sorted(foreseen(days_in(connection, DEFAULT_PARTITION), today), reverse=True)
    existing = set(_days(connection))
    missing = [day for day in dict.fromkeys([*coming, *in_default]) if day not in existing]
    if missing:
        # No insert may be under way. An insert that has chosen the default partition and waits for
        # a lock on it would fail, because its row does not belong there any more. With this lock,
        # inserts wait before they choose a partition.
        connection.execute(text("LOCK TABLE ONLY decisions IN SHARE ROW EXCLUSIVE MODE"))
    for day in missing[:MAX_NEW_PARTITIONS]:
        create(connection, day)


def foreseen(days: Iterable[date], today: date) -> list[date]:
    """Return the days that may have a partition; the others stay in the default partition."""
    # asyncpg writes the earliest moment that Python has as -infinity, which no day begins with.
    return [day for day in days if day > date.min and (day - today).days <= MAX_DAYS_AHEAD]


def purge(connection: Connection, before: date, *, dry_run: bool = False) -> int:
    """Delete the decisions of all UTC days before one, with the labels on them.

    Returns how many rows they are.
    """
    _take_turn(connection)
    expired = [_name(day) for day in _days(connection) if day < before]
    count = sum(_count(connection, name) for name in expired)
    for table in (DEFAULT_PARTITION, "labels"):
        condition = f"FROM {table} WHERE decided_at < :before"
        at = {"before": midnight(before)}
        count += int(connection.execute(text(f"SELECT count(*) {condition}"), at).scalar_one())
        if not dry_run:
            connection.execute(text(f"DELETE {condition}"), at)
    if not dry_run:
        for name in expired:
            connection.execute(text(f"DROP TABLE {name}"))
    return count


def create(connection: Connection, day: date) -> None:
    """Make the partition of a day, and move the decisions of that day into it."""
    name = _name(day)
    begin, end = midnight(day), midnight(day + timedelta(days=1))
    # It is attached once it is filled: when a partition is attached, the default partition may hold
    # no row that belongs to it.
    connection.execute(text(f"CREATE TABLE {name} (LIKE decisions INCLUDING ALL)"))
    connection.execute(
        text(
            f"WITH moved AS (DELETE FROM {DEFAULT_PARTITION} "  # noqa: S608
            "WHERE decided_at >= :begin AND decided_at < :end RETURNING *) "
            f"INSERT INTO {name} SELECT * FROM moved"
        ),
        {"begin": begin, "end": end},
    )
    connection.execute(
        text(
            f"ALTER TABLE decisions ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
        )
    )


def days_in(connection: Connection, table: str) -> list[date]:
    """Return the UTC days of which a table has decisions."""
    query = f"SELECT DISTINCT (decided_at AT TIME ZONE 'UTC')::date FROM {table}"  # noqa: S608
    return list(connection.execute(text(query)).scalars())


def all_days(connection: Connection) -> list[date]:
    """Return the UTC days that have a partition, or decisions in the default one.

    So is the first of the days that have labels: a label may come after the day was dropped.
    """
    query = text("SELECT (min(decided_at) AT TIME ZONE 'UTC')::date FROM labels")
    labelled = filter(None, connection.execute(query).scalars())
    return sorted({*_days(connection), *days_in(connection, DEFAULT_PARTITION), *labelled})


def midnight(day: date) -> datetime:
    """Return the moment at which a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def moments(day: date) -> tuple[datetime, datetime]:
    """Return the first and the last moment of a UTC day, to the microsecond.

    The end is a moment of the day itself, because there is none after the last day of the calendar.
    """
    begin = midnight(day)
    return begin, begin + timedelta(days=1, microseconds=-1)


def _days(connection: Connection) -> list[date]:
    """Return the days that have a partition."""
    query = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'decisions'::regclass AND relname <> :default"
    )
    names = connection.execute(query, {"default": DEFAULT_PARTITION}).scalars()
    # A partition with another name was not made by this program.
    found = filter(None, map(_NAME.fullmatch, names))
    return [date(*map(int, each.groups())) for each in found]


def _name(day: date) -> str:
    return f"decisions_{day.isoformat().replace('-', '')}"


def _count(connection: Connection, table: str) -> int:
    found: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
    return found


def _take_turn(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK_ID})
