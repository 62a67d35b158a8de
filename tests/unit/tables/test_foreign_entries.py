"""Records of a changelog that no worker can have written are skipped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fraudapp.faust_app import new_app
from fraudapp.settings import load
from models.activity import Activity, recent
from models.counts import Counts, total
from tables.global_table import _new_table
from tables.heartbeats import Heartbeat

SETTINGS = load({})
HEARTBEAT: Any = msgspec.to_builtins(
    Heartbeat("here:1", 1.0, 5, 7, {}, {}, "m", "p", Activity()), str_keys=True
)


def wrong(kind: type[msgspec.Struct], value: Any, *, key: bytes = b"1") -> str | None:
    message: Any = SimpleNamespace(partition=1, key=key, value=msgspec.json.encode(value))
    table = _new_table(new_app(SETTINGS), SETTINGS, "entries-of-a-test", kind, "")
    return table._what_is_wrong(message)


def changed(path: str, value: Any) -> Any:
    heartbeat = msgspec.json.decode(msgspec.json.encode(HEARTBEAT))
    *way, last = path.split(".")
    at = heartbeat
    for name in way:
        at = at[name]
    at[last] = value
    return heartbeat


def test_entries_written_by_a_worker_are_accepted() -> None:
    assert wrong(Counts, Counts()) is None
    assert wrong(Counts, Counts(4, {"APPROVE": 3, "conflict": 2}, "id", 9)) is None
    assert wrong(Heartbeat, HEARTBEAT) is None


@pytest.mark.parametrize("key", [b"9999", b"0", b"-1", b"", b'"1"'])
def test_a_key_is_the_partition_it_is_in(key: bytes) -> None:
    assert wrong(Counts, Counts(), key=key)


@pytest.mark.parametrize(
    "value",
    [{"fates": {"APPROVE": -5, "BLOCK": 1_000_000}}, {"offset": -2}, {"since": -1}],
)
def test_there_are_no_negative_counts(value: Any) -> None:
    assert wrong(Counts, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("activity.seconds.width", 0),
        ("activity.minutes.kept", -1),
        ("activity.minutes.counts", {"1": [1, 2]}),
        ("activity.minutes.counts", {"1": [1, 2, -3]}),
        ("activity.scores", [0]),
        ("activity.scores", [-1] * 20),
        ("cursor", -1),
        ("high_water", -1),
        ("stored", -1),
        ("unread", -1),
    ],
)
def test_a_heartbeat_is_one_that_can_be_added_to_others(path: str, value: Any) -> None:
    assert wrong(Heartbeat, changed(path, value))


def test_accepted_entries_can_be_summed() -> None:
    heartbeat = msgspec.convert(HEARTBEAT, Heartbeat, str_keys=True)
    assert recent([heartbeat.activity, Activity()], 10.0).since is None
    assert total({0: Counts()}).offsets == {0: -1}
