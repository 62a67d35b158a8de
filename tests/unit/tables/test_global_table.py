"""A table has one value for each input partition, in the types that it is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.stores.memory import Store
from faust.streams import _current_event
from faust.tables.globaltable import GlobalTable
from faust.tables.manager import TableManager
from faust.types.tuples import FutureMessage

import tables
from fraudapp.faust_app import FraudApp, new_app
from models.activity import Activity
from models.counts import Counts
from tables import Tables
from tables.global_table import DeliveredTable
from tables.heartbeats import Heartbeat, SinkStatus
from tests.support.decisions import decision
from tests.support.views import settings_of


class Changelog:
    """What is sent to the changelog topics: partition, key and value."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Any, Any]] = []

    def send(self, table: Any, partition: Any, key: Any, value: Any) -> Any:
        self.sent.append((partition, key, value))
        message: Any = SimpleNamespace(partition=partition)
        return FutureMessage(message)  # on its way, for good


@pytest.fixture
def changelog(monkeypatch: pytest.MonkeyPatch) -> Changelog:
    changelog = Changelog()
    monkeypatch.setattr(GlobalTable, "send_changelog", lambda *args: changelog.send(*args[:4]))
    return changelog


@pytest.fixture
def app(tmp_path: Path) -> FraudApp:
    return new_app(settings_of(tmp_path))


@pytest.fixture
def made(app: FraudApp) -> Tables:
    """Both tables, with Faust's store in memory in the place of RocksDB."""
    made = tables.register(app, app.settings)
    for each in (made.counts, made.heartbeats, made.quality, made.watch):
        table: Any = each._table
        table._data = Store("memory://", app, table)
    return made


def heartbeat(at: float) -> Heartbeat:
    activity = Activity()
    activity.add([decision()])
    stores = {"redis": SinkStatus(3, True)}
    return Heartbeat("one:1", at, 5, None, {"p50": 0.1}, stores, "m", "p", activity)


def test_the_tables_are_the_apps_under_the_names_of_their_changelogs(
    app: FraudApp, made: Tables
) -> None:
    assert set(cast(TableManager, app.tables)) == {
        "decision-counts",
        "partition-reports",
        "quality",
        "watch",
    }
    for each in (made.counts, made.heartbeats, made.quality, made.watch):
        assert isinstance(each._table, DeliveredTable)
        assert each._table.is_global


async def test_values_are_read_in_the_type_they_were_written_in(
    made: Tables, changelog: Changelog
) -> None:
    assert made.counts.get(2) is None
    counts = Counts(9, {"APPROVE": 5, "duplicate": 2}, "an-id", 4)
    made.counts.write(2, counts)
    made.counts.write(0, Counts())
    made.heartbeats.write(2, heartbeat(1.0))
    assert made.counts.get(2) == counts
    assert dict(made.counts.items()) == {2: counts, 0: Counts()}
    assert dict(made.heartbeats.items()) == {2: heartbeat(1.0)}


async def test_a_change_goes_to_its_own_changelog_partition(
    made: Tables, changelog: Changelog
) -> None:
    made.counts.write(3, Counts(9))
    made.counts.write(1, Counts(4))
    assert [(partition, key) for partition, key, _ in changelog.sent] == [(3, 3), (1, 1)]
    assert changelog.sent[0][2] == {"offset": 9, "fates": {}, "topic_id": "", "since": 0}


async def test_writing_leaves_no_current_event_behind(made: Tables, changelog: Changelog) -> None:
    before = _current_event.get(None)
    made.counts.write(3, Counts(9))
    assert _current_event.get(None) is before


async def test_buffered_changes_are_applied_before_items_are_read(
    app: FraudApp, made: Tables, changelog: Changelog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush() -> None:
        made.counts.write(1, Counts(7))

    monkeypatch.setattr(cast(TableManager, app.tables).recovery, "flush_buffers", flush)
    assert dict(made.counts.items()) == {1: Counts(7)}


async def test_a_table_has_recovered_when_its_whole_changelog_was_read(made: Tables) -> None:
    assert not made.counts.recovered
    await made.counts._table.on_recovery_completed(set(), set())
    assert made.counts.recovered
    assert not made.heartbeats.recovered
