"""The key partition of an id is the one that Kafka's default partitioner gives it."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from models.key_hash import key_partitions


@given(st.lists(st.text(min_size=1, max_size=128), max_size=60), st.integers(1, 1_000))
def test_the_key_partition_is_that_of_the_default_partitioner(ids: list[str], count: int) -> None:
    numbers = list(range(count))
    ids = [each.encode("utf-8", "replace").decode() for each in ids]
    expected = [DefaultPartitioner()(each.encode(), numbers, numbers) for each in ids]
    assert key_partitions(ids, count) == expected


def test_hashes_are_those_of_the_java_client() -> None:
    # From UtilsTest.testMurmur2 of Apache Kafka.
    known = {
        "21": -973932308,
        "foobar": -790332482,
        "a-little-bit-long-string": -985981536,
        "a-little-bit-longer-string": -1486304829,
        "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    }
    expected = [(hash_ & 0x7FFFFFFF) % (2**31 - 1) for hash_ in known.values()]
    for times in (1, 10):  # one by one, and as a batch
        assert key_partitions([*known] * times, 2**31 - 1) == expected * times
