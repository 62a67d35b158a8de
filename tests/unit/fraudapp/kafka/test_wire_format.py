"""Whatever a batch claims or holds, reading it ends, and accounts for each of its offsets."""

from __future__ import annotations

import tracemalloc
from itertools import islice

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import encode_varint
from hypothesis import example, given
from hypothesis import strategies as st

from fraudapp.kafka import codecs, wire_format
from fraudapp.kafka.stored_batch import MAX_HEADERS, StoredBatch, records_of
from fraudapp.kafka.wire_format import (
    _HEADER,
    MAX_FETCHES_OF_DAMAGED,
    FetchedBatches,
    TolerantRecords,
)
from models.parsing import CUT_VALUE_BYTES, Damaged, Unread

PARTITION = TopicPartition("transactions", 0)
BATCH = StoredBatch(0, 0, 1, 0, 0, memoryview(b""), 1)


def varints(*numbers: int) -> bytes:
    written = bytearray()
    for number in numbers:
        encode_varint(number, written.append)
    return bytes(written)


def record(length: int, headers: int, rest: bytes) -> bytes:
    """A record that claims this length and number of headers, without key and value."""
    return varints(length) + b"\0" + varints(0, 0, -1, -1, headers) + rest


@given(
    st.lists(
        st.builds(record, st.integers(-50, 50), st.integers(-5, 10**6), st.binary(max_size=20)),
        max_size=4,
    ).map(b"".join),
    st.booleans(),
)
@example(record(-1, 0, b""), False)  # the next record would begin where this one does
@example(record(50, 10**6, varints(40) + b"x"), False)  # claims 40 bytes, and has one
@example(record(50, 10**6, varints(40) + b"x"), True)
def test_reading_ends_with_the_bytes_there_are(unpacked: bytes, whole: bool) -> None:
    read = list(islice(records_of(PARTITION, BATCH, unpacked, whole=whole), len(unpacked) + 1))
    assert len(read) <= len(unpacked)
    assert sum(len(each.headers) for each in read) <= len(unpacked) ** 2


def test_headers_end_where_the_record_ends() -> None:
    begun = varints(3) + b"key" + varints(100) + b"what is left"
    headers = varints(1) + varints(4) + b"name" + varints(2) + b"is"
    unpacked = record(8, 1, headers[1:]) + record(200, 1, begun)
    first, last = records_of(
        PARTITION, BATCH, unpacked.replace(varints(8), varints(14), 1), whole=False
    )
    assert first.headers == (("name", b"is"),)
    ((name, content),) = last.headers
    assert (name, bytes(content)) == ("key", b"what is left")


def stored(start: int, count: int) -> bytes:
    """A batch as it is in the log, of `count` records from offset `start` on."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    for number in range(count):
        builder.append(number, 0, b"key", b"value", [])
    batch = bytearray(builder.build())
    batch[:8] = start.to_bytes(8, "big")
    return bytes(batch)


def fetched(log: list[bytes], offset: int) -> TolerantRecords:
    """The response to a fetch: the batch that holds this offset, and all batches after it."""
    starts = [int.from_bytes(each[:8], "big") for each in log]
    first = max(number for number, start in enumerate(starts) if start <= offset)
    return TolerantRecords(
        PARTITION, FetchedBatches(b"".join(log[first:])), [], offset, None, None, True, 1
    )


def read_all(log: list[bytes], end: int) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    offset = 0
    for _ in range(3 * MAX_FETCHES_OF_DAMAGED):
        records = fetched(log, offset)
        found += records
        offset = records.next_fetch_offset
        if offset >= end:
            return found
    raise AssertionError(f"reading has come to {offset}")


@pytest.mark.parametrize("following", [True, False], ids=["and more", "at the end"])
@pytest.mark.parametrize("pos", [_HEADER.size + 9, 21, 23, 24, 26, 57, 58, 60])
def test_each_offset_of_a_damaged_batch_is_reported_and_all_others_are_read(
    pos: int, following: bool
) -> None:
    TolerantRecords.damaged_fetches.clear()
    log = [stored(0, 4), stored(4, 5), *([stored(9, 3)] if following else [])]
    for bit in range(8):
        damaged = bytearray(log[1])
        damaged[pos] ^= 1 << bit
        end = 12 if following else 9
        found = read_all([log[0], bytes(damaged), *log[2:]], end)
        damaged_offsets = {each.offset for each in found if type(each.value) is Damaged}
        read = {each.offset for each in found if each.value == b"value"}
        assert read == {*range(end)} - damaged_offsets
        assert damaged_offsets <= {*range(4, 9)}
        assert following is False or damaged_offsets == {*range(4, 9)}
        assert [each.offset for each in found] == sorted({each.offset for each in found})


def test_a_batch_damaged_on_the_network_is_read_when_it_is_fetched_again() -> None:
    TolerantRecords.damaged_fetches.clear()
    damaged = bytearray(stored(0, 4))
    damaged[-1] ^= 1
    records = fetched([bytes(damaged)], 0)
    assert list(records) == []
    assert records.next_fetch_offset == 0
    assert [each.value for each in fetched([stored(0, 4)], 0)] == [b"value"] * 4


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4], ids=["plain", "gzip", "snappy", "lz4", "zstd"])
def test_a_million_headers_take_bounded_memory(codec: int) -> None:
    wire_format.install()
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 1 << 30)
    builder.append(0, 0, b"key", b"first", [("origin", b"a")])
    builder.append(1, 0, b"key", b"second", [("origin", b"b"), *[("", None)] * 1_000_000])
    builder.append(2, 0, b"key", b"third", [("origin", b"c")])
    log = [bytes(builder.build())]
    del builder
    tracemalloc.start()
    try:
        records = list(fetched(log, 0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each.value for each in records] == [b"first", b"second", b"third"]
    assert [each.headers[0] for each in records] == [("origin", e) for e in (b"a", b"b", b"c")]
    assert [len(each.headers) for each in records] == [1, MAX_HEADERS, 1]
    assert peak < 24 << 20


def test_records_without_key_value_and_headers_are_all_read() -> None:
    wire_format.install()
    builder = DefaultRecordBatchBuilder(2, 1, 0, -1, -1, 0, 1 << 30)
    for number in range(200_000):
        builder.append(number, 0, None, None, [])
    records = fetched([bytes(builder.build())], 0)
    assert [each.offset for each in records] == [*range(200_000)]


BOUND = 16 << 20


@pytest.mark.parametrize("size", [BOUND - 100, BOUND + 100, 4 * BOUND])
@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_unpacked_bytes_are_held_once_beside_the_records(
    codec: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire_format.install()
    monkeypatch.setattr(codecs, "MAX_UNPACKED_BYTES", BOUND)
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 1 << 30)
    builder.append(0, 0, None, b"x" * size, [])
    log = [bytes(builder.build())]
    del builder
    tracemalloc.start()
    try:
        (record,) = fetched(log, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (record.value.size if size > BOUND else len(record.value)) in (size, None)
    assert type(record.value) is (Unread if size > BOUND else bytes)
    assert len(record.value) <= (CUT_VALUE_BYTES if size > BOUND else size)
    assert peak < 2.3 * BOUND
