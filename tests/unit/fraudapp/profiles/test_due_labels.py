"""Labels wait for their time, and what waits is known to be read again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.profiles import due_labels
from fraudapp.profiles.due_labels import DueLabels
from models.profiles.labels import due
from tests.unit.fraudapp.profiles.shop import DELAY, NOW, later, paid, told

BEGIN = NOW.timestamp()


@given(
    ages=st.lists(st.floats(0, 100), min_size=1, max_size=20),
    taken=st.lists(st.tuples(st.floats(0, 150), st.integers(1, 5)), max_size=10),
)
def test_labels_are_taken_when_they_are_due_and_never_before(
    ages: list[float], taken: list[tuple[float, int]]
) -> None:
    waiting = DueLabels(DELAY)
    records = [
        told(paid(f"t{place}"), 1, place, offset=place, at=later(age))
        for place, age in enumerate(ages)
    ]
    waiting.add(records, {0: len(records)})
    left = {each.offset: due(each.written_at / 1_000, DELAY) for each in records}
    for second, most in taken:
        found = waiting.take(BEGIN + second, most)
        ready = [offset for offset, at in left.items() if at <= BEGIN + second]
        assert len(found) == min(most, len(ready))
        for each in found:
            assert left.pop(each.offset) <= BEGIN + second
        assert waiting.is_due(BEGIN + second) == any(at <= BEGIN + second for at in left.values())
        assert waiting.next_offsets() == {0: min(left, default=len(records))}


def test_records_that_are_added_again_change_nothing() -> None:
    waiting = DueLabels(DELAY)
    records = [told(paid(f"t{place}"), 1, place, offset=place) for place in range(4)]
    waiting.add(records[:3], {0: 3})
    waiting.add(records[1:], {0: 4})
    late = later(3 * DELAY).timestamp()
    assert [each.offset for each in waiting.take(late, 10)] == [0, 1, 2, 3]
    assert waiting.next_offsets() == {0: 4}
    waiting.add(records, {0: 4})
    assert not waiting.is_due(late)


def test_there_is_room_until_many_wait() -> None:
    waiting = DueLabels(DELAY)
    records = [told(paid("t"), 1, 0, offset=place) for place in range(due_labels.MAX_WAITING)]
    waiting.add(records[:-1], {0: len(records) - 1})
    assert waiting.has_room
    waiting.add(records[-1:], {0: len(records)})
    assert not waiting.has_room
    waiting.take(later(3 * DELAY).timestamp(), 1)
    assert waiting.has_room
