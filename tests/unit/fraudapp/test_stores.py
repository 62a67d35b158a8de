"""What stores make of decisions, before any server is asked."""

from __future__ import annotations

import asyncio
import gzip
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.settings import load
from fraudapp.stores.archive_files import objects
from fraudapp.stores.base import Batch, StoreUnavailable, decode
from fraudapp.stores.rows import from_row, to_row
from fraudapp.stores.s3_archive import S3Archive
from fraudapp.stores.schema import DecisionRow
from models.records import Decision
from tests.unit.decisions import decision, decisions


@given(decisions)
def test_a_decision_survives_json(each: Decision) -> None:
    assert decode(Batch([each]).encoded[0]) == each


@given(decisions)
def test_a_decision_survives_a_row(each: Decision) -> None:
    row = dict(zip(DecisionRow.__table__.columns.keys(), to_row(each), strict=True))
    row["reasons"] = msgspec.json.decode(row["reasons"])  # as the driver reads JSONB
    assert from_row(row) == each


@given(st.lists(decisions, max_size=20))
def test_every_decision_is_in_exactly_one_object_of_its_day_and_partition(
    batch: list[Decision],
) -> None:
    found = []
    keys = []
    for key, content in objects(Batch(batch)):
        lines = [decode(line) for line in gzip.decompress(content).splitlines()]
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


def test_the_same_batch_has_the_same_keys_in_any_order() -> None:
    batch = [decision(f"t{number}", offset=number) for number in range(5)]
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
    with pytest.raises(StoreUnavailable, match="broken"):
        await archive.save(Batch([decision("a"), other]))
    await asyncio.sleep(0)
    assert len(begun) == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
