"""Decisions as JSON, as rows of Postgres and as files of the archive, without any server."""

from __future__ import annotations

import asyncio
import gzip
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import Batch
from fraudapp.settings import load
from fraudapp.sinks.archive.files import days_of, is_before, objects
from fraudapp.sinks.archive.s3 import S3Archive
from fraudapp.sinks.base import SinkUnavailable
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.support.decisions import decision, decisions


@given(decisions)
def test_a_decision_survives_json(each: Decision) -> None:
    assert PAYSIM.decode(Batch([each]).encoded[0]) == each


@given(st.lists(decisions, max_size=20))
def test_every_decision_is_in_exactly_one_file_of_its_day_and_partition(
    batch: list[Decision],
) -> None:
    found = []
    keys = []
    for key, content in objects(Batch(batch)):
        lines = [PAYSIM.decode(line) for line in gzip.decompress(content).splitlines()]
        days = {f"date={each.decided_at.date()}" for each in lines}
        parts = {f"partition={each.partition}" for each in lines}
        assert all(part in key for part in days | parts)
        assert len(days) == len(parts) == 1
        first, last, _ = key.rpartition("/")[2].removesuffix(".jsonl.gz").split("-")
        assert (int(first), int(last)) == (lines[0].offset, lines[-1].offset)
        keys.append(key)
        found += lines
    assert len(set(keys)) == len(keys)
    assert sorted(map(repr, found)) == sorted(map(repr, batch))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-04T01:00:00+02:00", "2026-03-03"),
        ("2026-03-04T23:00:00-02:00", "2026-03-05"),
        ("0001-01-01T00:00:00Z", "0001-01-01"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01"),  # in a year that there is not
        ("9999-12-31T23:00:00-12:00", "9999-12-31"),
    ],
)
def test_the_day_of_a_file_is_in_utc(moment: str, day: str) -> None:
    each = decision(decided_at=msgspec.json.decode(f'"{moment}"', type=datetime))
    ((key, _),) = objects(Batch([each]))
    folder = key.split("/")[1]
    assert folder == f"date={day}"
    assert days_of([folder]) == [date.fromisoformat(day)]


def test_a_folder_with_another_name_than_a_day_is_left_alone() -> None:
    names = ["date=", "date=20260304", "date=2026-W01-1", "date=2026-3-4", "date=x", "2026-03-04"]
    assert days_of(names) == []
    assert not any(is_before(name, date.max) for name in names)


def test_a_decision_without_a_time_zone_is_not_decoded() -> None:
    local = Batch([decision()]).encoded[0].replace(b"890123Z", b"890123")
    with pytest.raises(msgspec.DecodeError, match="timezone"):
        PAYSIM.decode(local)


def test_the_same_batch_is_the_same_files_in_any_order() -> None:
    batch = [decision(f"t{offset}", offset=offset) for offset in range(5)]
    assert list(objects(Batch(batch))) == list(objects(Batch(batch[::-1])))


async def test_after_a_failed_upload_none_of_the_others_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = []

    async def put_object(**options: Any) -> None:
        begun.append(options["Key"])
        raise OSError("broken")

    archive = S3Archive("bucket", "", load({}))
    monkeypatch.setattr(archive, "_client", SimpleNamespace(put_object=put_object))
    other = msgspec.structs.replace(decision("b"), partition=decision("a").partition + 1)
    with pytest.raises(SinkUnavailable, match="broken"):
        await archive.save(Batch([decision("a"), other]))
    await asyncio.sleep(0)
    assert len(begun) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
