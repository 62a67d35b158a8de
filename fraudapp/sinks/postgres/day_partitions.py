"""The history's partitions: one for each UTC day, and one for the rest.

A decision of a day that has no partition yet is kept in the rest, so that nothing ever depends on
`maintain` having run; it moves such rows into partitions of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import Final

from sqlalchemy import Connection, text

REST: Final = "decisions_rest"
AHEAD: Final = 7
"""Days for which partitions are made in advance: so long may no worker look after them."""
FORESEEN: Final = 31
"""Days ahead up to which a day with decisions gets a partition: clocks may be wrong, and what they
have stamped is as well kept in the rest."""
AT_ONCE: Final = 100
"""Partitions made in one transaction, at most: each takes locks, of which Postgres has a number."""
_NAME: Final = re.compile(r"decisions_(\d{4})(\d\d)(\d\d)")
_LOCK: Final = 0x66726175645F7061  # "fraud_pa": any number that only this program uses
_PATIENCE: Final = "5s"
"""Most to wait for a lock: whoever waits for one on a table stops all who come after."""


def maintain(connection: Connection, today: date) -> None:
    """Make partitions that are missing: of the coming days first, then of those in the rest.

    Any number of workers may call it at once, each in a transaction of its own. What is too much
    for one call is left to the next.
    """
    _take_turn(connection)
    coming = [today + timedelta(days=ahead) for ahead in range(AHEAD + 1)]
    late = sorted(foreseen(days_in(connection, REST), today), reverse=True)
    there = set(_days(connection))
    missing = [day for day in dict.fromkeys([*coming, *late]) if day not in there][:AT_ONCE]
    if missing:
        # No insert may be under way: one that has chosen the rest and waits for a lock on it would
        # fail once the rest is no place for it. Here they wait before they choose.
        connection.execute(text("LOCK TABLE ONLY decisions IN SHARE ROW EXCLUSIVE MODE"))
    for day in missing:
        create(connection, day)


def foreseen(days: Iterable[date], today: date) -> list[date]:
    """Those of the days that may have a partition; decisions of the others stay in the rest."""
    # asyncpg writes the earliest moment that Python has as -infinity, which no day begins with.
    return [day for day in days if day > date.min and (day - today).days <= FORESEEN]


def purge(connection: Connection, before: date, *, dry_run: bool = False) -> int:
    """Delete the decisions of all UTC days before one; return how many there are."""
    _take_turn(connection)
    old = [_name(day) for day in _days(connection) if day < before]
    count = sum(_count(connection, name) for name in old)
    condition = f"FROM {REST} WHERE decided_at < :before"
    at = {"before": midnight(before)}
    count += int(connection.execute(text(f"SELECT count(*) {condition}"), at).scalar_one())
    if not dry_run:
        for name in old:
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text(f"DELETE {condition}"), at)
    return count


def create(connection: Connection, day: date) -> None:
    """Make the partition of a day, and move into it what the rest has of that day."""
    name = _name(day)
    begin, end = midnight(day), midnight(day + timedelta(days=1))
    # Made apart and attached when filled: the rest may hold no row that belongs to a partition.
    connection.execute(text(f"CREATE TABLE {name} (LIKE decisions INCLUDING ALL)"))
    connection.execute(
        text(
            f"WITH moved AS (DELETE FROM {REST} WHERE decided_at >= :begin AND decided_at < :end "  # noqa: S608
            f"RETURNING *) INSERT INTO {name} SELECT * FROM moved"
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
    """The UTC days of which a table has decisions."""
    query = f"SELECT DISTINCT (decided_at AT TIME ZONE 'UTC')::date FROM {table}"  # noqa: S608
    return list(connection.execute(text(query)).scalars())


def all_days(connection: Connection) -> list[date]:
    """The UTC days that have a partition, or decisions in the rest."""
    return sorted({*_days(connection), *days_in(connection, REST)})


def today(connection: Connection) -> date:
    """The UTC day it is by the database's clock."""
    query = text("SELECT (now() AT TIME ZONE 'UTC')::date")
    found: date = connection.execute(query).scalar_one()
    return found


def midnight(day: date) -> datetime:
    """The moment at which a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def moments(day: date) -> tuple[datetime, datetime]:
    """The first and the last moment of a UTC day, to the microsecond; the last day has an end."""
    begin = midnight(day)
    return begin, begin + timedelta(days=1, microseconds=-1)


def _days(connection: Connection) -> list[date]:
    """The days that have a partition."""
    query = text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'decisions'::regclass AND relname <> :rest"
    )
    names = connection.execute(query, {"rest": REST}).scalars()
    # A partition that is called otherwise was not made here.
    found = filter(None, map(_NAME.fullmatch, names))
    return [date(*map(int, each.groups())) for each in found]


def _name(day: date) -> str:
    return f"decisions_{day.isoformat().replace('-', '')}"


def _count(connection: Connection, table: str) -> int:
    found: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608
    return found


def _take_turn(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
