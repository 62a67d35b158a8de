"""Days have partitions of their own, unless a wrong clock has made them up."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Connection

from fraudapp.sinks.postgres.day_partitions import (
    DAYS_AHEAD,
    DEFAULT_PARTITION,
    MAX_DAYS_AHEAD,
    MAX_NEW_PARTITIONS,
    all_days,
    create,
    foreseen,
    maintain,
    midnight,
    moments,
    purge,
)

days = st.dates()
ordinary = st.dates(date(2000, 1, 1), date(2100, 1, 1))


class MemoryPartitions:
    """A connection to a table that is divided: its partitions, and the days in the rest.

    Beside it is that of labels, of which the first day is asked for.
    """

    def __init__(self, names: list[str], in_rest: list[date], labelled: date | None = None) -> None:
        self.names = names
        self.in_rest = in_rest
        self.labelled = labelled
        self.statements: list[str] = []

    def execute(self, statement: Any, values: dict[str, Any] | None = None) -> Any:
        sql = str(statement)
        self.statements.append(sql)
        rows: list[Any] = []
        if "pg_inherits" in sql:
            assert values == {"default": DEFAULT_PARTITION}
            rows = list(self.names)
        elif sql.startswith("SELECT DISTINCT") and sql.endswith(f"FROM {DEFAULT_PARTITION}"):
            rows = list(self.in_rest)
        elif "min(decided_at)" in sql:
            rows = [self.labelled]
        elif sql.startswith("SELECT count"):
            rows = [10 if DEFAULT_PARTITION in sql else 100 if "FROM labels" in sql else 1]
        elif made := re.match(r"CREATE TABLE (\w+) ", sql):
            self.names.append(made[1])
        elif dropped := re.match(r"DROP TABLE (\w+)", sql):
            self.names.remove(dropped[1])
        return SimpleNamespace(scalars=lambda: iter(rows), scalar_one=lambda: rows[0])

    @property
    def connection(self) -> Connection:
        return cast(Connection, self)

    def of(self, word: str) -> list[str]:
        return [sql for sql in self.statements if sql.startswith(word)]


def name_of(day: date) -> str:
    return f"decisions_{day.year:04}{day.month:02}{day.day:02}"


@given(days)
def test_a_day_has_its_first_and_its_last_microsecond_and_no_other(day: date) -> None:
    first, last = moments(day)
    assert first == midnight(day) == datetime.combine(day, datetime.min.time(), timezone.utc)
    assert first.date() == last.date() == day
    assert last - first == timedelta(days=1) - timedelta(microseconds=1)


@given(days, days)
def test_days_do_not_overlap_and_leave_nothing_between_them(one: date, other: date) -> None:
    assert (one < other) == (moments(one)[1] < moments(other)[0])
    if one < date.max:
        after = moments(one + timedelta(days=1))[0]
        assert after - moments(one)[1] == timedelta(microseconds=1)


@given(st.lists(days), days)
@example([date.min, date.max], date.min)
def test_only_days_far_ahead_and_the_first_of_the_calendar_are_not_foreseen(
    given_days: list[date], today: date
) -> None:
    found = foreseen(iter(given_days), today)
    assert found == [
        day
        for day in given_days
        if day != date.min and day.toordinal() <= today.toordinal() + MAX_DAYS_AHEAD
    ]


@given(st.sets(ordinary), st.sets(ordinary), st.none() | ordinary)
def test_the_days_of_a_table_are_those_of_its_partitions_of_the_default_one_and_of_labels(
    with_partition: set[date], in_rest: set[date], labelled: date | None
) -> None:
    foreign = ["decisions_old", "decisions_2026010", "decisions_20260101_copy", "x20260101"]
    table = MemoryPartitions([*map(name_of, with_partition), *foreign], list(in_rest), labelled)
    of_labels = {labelled} if labelled else set()
    assert all_days(table.connection) == sorted(with_partition | in_rest | of_labels)


@given(ordinary, st.sets(ordinary, max_size=5), st.sets(st.integers(-400, 40), max_size=200))
def test_coming_days_get_a_partition_first_then_the_latest_in_the_default_one(
    today: date, existing: set[date], offsets: set[int]
) -> None:
    in_rest = {today + timedelta(days=offset) for offset in offsets}
    table = MemoryPartitions([name_of(day) for day in existing], list(in_rest))
    before = list(table.names)
    maintain(table.connection, today)
    coming = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    latest = sorted(in_rest - set(coming), reverse=True)
    wanted = [*coming, *(day for day in latest if (day - today).days <= MAX_DAYS_AHEAD)]
    expected = [name_of(day) for day in wanted if day not in existing][:MAX_NEW_PARTITIONS]
    assert table.names == before + expected
    assert len(table.of("LOCK TABLE")) == bool(expected)


def test_one_call_makes_only_so_many_partitions_and_the_next_makes_others() -> None:
    today = date(2026, 3, 4)
    past = [today - timedelta(days=ago) for ago in range(1, MAX_NEW_PARTITIONS + 1)]
    table = MemoryPartitions([], past)
    maintain(table.connection, today)
    assert len(table.names) == MAX_NEW_PARTITIONS
    maintain(table.connection, today)
    assert len(table.names) == MAX_NEW_PARTITIONS + DAYS_AHEAD + 1
    assert set(all_days(table.connection)) > set(past)


def test_a_table_that_lacks_nothing_is_not_locked() -> None:
    today = date(2026, 3, 4)
    table = MemoryPartitions([], [])
    maintain(table.connection, today)
    assert len(table.names) == DAYS_AHEAD + 1
    table.statements.clear()
    maintain(table.connection, today)
    assert not table.of("LOCK TABLE")
    assert not table.of("CREATE")


@given(st.dates(date(1, 1, 2), date(9999, 12, 30)))
def test_a_partition_is_filled_before_it_is_attached_for_its_day(day: date) -> None:
    table = MemoryPartitions([], [])
    create(table.connection, day)
    made, moved, attached = table.statements
    name, begin, end = name_of(day), midnight(day), midnight(day + timedelta(days=1))
    assert made == f"CREATE TABLE {name} (LIKE decisions INCLUDING ALL)"
    assert f"INSERT INTO {name} " in moved
    assert f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')" in attached
    assert all_days(table.connection) == [day]


@given(st.sets(ordinary, max_size=10), ordinary)
@example({date(2026, 1, 1), date(2026, 1, 2)}, date(2026, 1, 2))
def test_a_purge_drops_earlier_days_and_a_dry_run_only_counts_them(
    kept: set[date], before: date
) -> None:
    table = MemoryPartitions([*map(name_of, kept), "decisions_19000101_copy"], [])
    names = list(table.names)
    expired = {day for day in kept if day < before}
    assert purge(table.connection, before, dry_run=True) == len(expired) + 110
    assert table.names == names
    assert not table.of("DELETE")
    assert purge(table.connection, before) == len(expired) + 110
    assert set(names) - set(table.names) == set(map(name_of, expired))
    assert table.of("DELETE") == [
        f"DELETE FROM {each} WHERE decided_at < :before" for each in (DEFAULT_PARTITION, "labels")
    ]
