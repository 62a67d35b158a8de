"""Labels of the labelled topic, by the second from which on decisions see them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from aiokafka import ConsumerRecord

from fraudapp.labels.changes import Counted, changes
from fraudapp.labels.records import LabelledRecord, labelled_records
from fraudapp.settings import Settings
from fraudapp.verifying.merging import Chunks, merged
from models.profiles.labels import due
from models.records import Decision


class Due(NamedTuple):
    """A labelled decision, and the second from which on it is seen."""

    second: float
    record: LabelledRecord


class Moved(NamedTuple):
    """What labels change in the numbers of frauds, by decision."""

    decisions: Sequence[Decision]
    changes: Sequence[int]


class DueInLog:
    """The labels that count, of each id the newest that is due."""

    def __init__(self, chunks: Chunks[Due]) -> None:
        """`chunks` has labels in the order of their seconds; see `in_order`."""
        self._chunks = chunks
        self._waiting: list[Due] = []
        self._is_exhausted = False
        self._counted: dict[str, Counted] = {}

    async def next_second(self) -> float:
        """Return the second from which on another label is seen; infinity if there is none."""
        while not self._waiting and not self._is_exhausted:
            await self._read()
        return self._waiting[0].second if self._waiting else inf

    async def by(self, second: float) -> Moved:
        """Return what labels change that are seen from a second on, or earlier."""
        while not self._is_exhausted and not (self._waiting and self._waiting[-1].second > second):
            await self._read()
        place = next(
            (at for at, each in enumerate(self._waiting) if each.second > second),
            len(self._waiting),
        )
        taken, self._waiting = self._waiting[:place], self._waiting[place:]
        return self._moved([each.record for each in taken])

    async def aclose(self) -> None:
        """Read no more."""
        await self._chunks.aclose()

    async def _read(self) -> None:
        chunk = await anext(self._chunks, None)
        self._is_exhausted = chunk is None
        self._waiting += chunk or []

    def _moved(self, records: Sequence[LabelledRecord]) -> Moved:
        decisions: list[Decision] = []
        moved: list[int] = []
        for each in changes(records, self._counted):
            labelled = each.record.labelled
            self._counted[labelled.transaction_id] = Counted(labelled.version, labelled.label)
            if change := labelled.label - (each.before or 0):
                decisions.append(labelled.decision)
                moved.append(change)
        return Moved(decisions, moved)


def in_order(settings: Settings, partitions: Sequence[Chunks[ConsumerRecord]]) -> Chunks[Due]:
    """Yield the labels of all partitions of the labelled topic in the order of their seconds."""
    return merged([_due(settings, each) for each in partitions], lambda each: each.second)


async def _due(settings: Settings, chunks: Chunks[ConsumerRecord]) -> Chunks[Due]:
    second = 0.0
    async for raw in chunks:
        found = []
        for each in labelled_records(raw, settings.topic_partitions, settings.transaction_schema):
            # Clocks of brokers may step back.
            second = max(second, due(each.written_at / 1_000, settings.profile_label_delay))
            found.append(Due(second, each))
        yield found
