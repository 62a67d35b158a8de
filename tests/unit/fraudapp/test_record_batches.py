"""Whatever lengths and numbers a batch claims, reading it ends, and takes no more than it has."""

from __future__ import annotations

from itertools import islice

from aiokafka import TopicPartition
from aiokafka.record.util import encode_varint
from hypothesis import example, given
from hypothesis import strategies as st

from fraudapp.record_batches import _Raw, records_of

AT = TopicPartition("transactions", 0)
BATCH = _Raw(0, 0, 1, 0, 0, memoryview(b""))


def varints(*numbers: int) -> bytes:
    written = bytearray()
    for number in numbers:
        encode_varint(number, written.append)
    return bytes(written)


def record(length: int, headers: int, rest: bytes) -> bytes:
    """One that claims this length and number of headers, with no key and no value."""
    return varints(length) + b"\0" + varints(0, 0, -1, -1, headers) + rest


@given(
    st.lists(
        st.builds(record, st.integers(-50, 50), st.integers(-5, 10**6), st.binary(max_size=20)),
        max_size=4,
    ).map(b"".join),
    st.booleans(),
)
@example(record(-1, 0, b""), False)  # the next record would be this one again
@example(record(50, 10**6, varints(40) + b"x"), False)  # 40 bytes of which there is one
@example(record(50, 10**6, varints(40) + b"x"), True)
def test_reading_ends_with_what_there_is(unpacked: bytes, whole: bool) -> None:
    read = list(islice(records_of(AT, BATCH, unpacked, whole=whole), len(unpacked) + 1))
    assert len(read) <= len(unpacked)
    assert sum(len(each.headers) for each in read) <= len(unpacked) ** 2


def test_a_record_is_read_up_to_where_it_ends() -> None:
    begun = varints(3) + b"key" + varints(100) + b"what is left"
    headers = varints(1) + varints(4) + b"name" + varints(2) + b"is"
    unpacked = record(8, 1, headers[1:]) + record(200, 1, begun)
    first, last = records_of(AT, BATCH, unpacked.replace(varints(8), varints(14), 1), whole=False)
    assert first.headers == (("name", b"is"),)
    ((name, content),) = last.headers
    assert (name, bytes(content)) == ("key", b"what is left")
