"""Labels are seen from their second on, and of each id the newest that is due counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.labels.records import LabelledRecord
from fraudapp.verifying.due import Due, DueInLog
from fraudapp.verifying.merging import Chunks
from models.labels.records import Said, Source, encode, labelled
from tests.support.decisions import DECIDED_AT, decision

told = st.tuples(
    st.integers(0, 20).map(float),
    st.sampled_from("abc"),
    st.integers(0, 9),
    st.sampled_from([0, 1]),
)


def due(second: float, id_: str, version: int, label: int) -> Due:
    said = Said(label=1 if label else 0, at=DECIDED_AT, by="ann", offset=version)
    made = labelled(decision(id_), {Source.ANALYST: said})
    return Due(second, LabelledRecord(0, version, 0, made, encode(made)))


async def in_chunks(all_: Sequence[Due], size: int) -> Chunks[Due]:
    for at in range(0, len(all_), size):
        yield [*all_[at : at + size]]


@given(
    told=st.lists(told, max_size=20, unique_by=lambda each: each[1:3]).map(
        lambda all_: sorted(all_, key=lambda each: each[0])
    ),
    seconds=st.lists(st.integers(0, 22).map(float), max_size=8).map(sorted),
    size=st.integers(1, 6),
)
def test_frauds_are_those_of_the_newest_labels_that_are_due(
    told: list[tuple[float, str, int, int]], seconds: list[float], size: int
) -> None:
    async def follow() -> None:
        labels = DueInLog(in_chunks([due(*each) for each in told], size))
        frauds = dict.fromkeys("abc", 0)
        for second in seconds:
            decisions, changes = await labels.by(second)
            for made, change in zip(decisions, changes, strict=True):
                frauds[made.transaction_id] += change
            seen = [each for each in told if each[0] <= second]
            for id_, count in frauds.items():
                newest = max((each[2:] for each in seen if each[1] == id_), default=(0, 0))
                assert count == newest[1]
            later = [each[0] for each in told if each[0] > second]
            assert await labels.next_second() == min(later, default=inf)
        await labels.aclose()

    asyncio.run(follow())
