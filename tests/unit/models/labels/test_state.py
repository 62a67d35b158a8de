"""What is said of one transaction is a function of the topic, however it is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.labels.records import Said, Source
from models.labels.state import Labels, apply
from tests.unit.models.labels.test_records import said

topics = st.lists(st.tuples(st.sampled_from(Source), said, st.integers(1, 5)), max_size=20)


@given(topics, st.data())
def test_neither_order_nor_repeats_change_anything(
    drawn: list[tuple[Source, Said, int]], data: st.DataObject
) -> None:
    offset = 0
    topic = []
    for source, each, step in drawn:
        offset += step
        topic.append((source, Said(label=each.label, at=each.at, by=each.by, offset=offset)))
    expected: Labels = dict(topic)  # the last of each source
    shuffled = data.draw(st.permutations(topic + topic[: len(topic) // 2]))
    labels: Labels = {}
    for source, each in shuffled:
        before = dict(labels)
        assert apply(labels, source, each) == (labels != before)
    assert labels == expected
    assert not any(apply(labels, source, each) for source, each in topic)
    assert labels == expected
