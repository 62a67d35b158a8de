"""Decisions of the log in the order in which workers made them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from aiokafka import ConsumerRecord

from fraudapp.backtests.seen import Seen
from fraudapp.decisions.log_records import log_records
from fraudapp.settings import Settings
from fraudapp.verifying.merging import Chunks, merged
from models.profiles.neighbours import Logged


class Decided:
    """Decisions by moment, then partition, then offset; of several under one id, the first."""

    def __init__(self, settings: Settings, partitions: Sequence[Chunks[ConsumerRecord]]) -> None:
        """`partitions` has the records of each partition of the log."""
        self._settings = settings
        self._partitions = partitions
        self._seen = Seen()
        self.repeated = 0
        """Decisions under an id that was decided before; they are left out."""

    def in_order(self) -> Chunks[Logged]:
        """Yield decisions; a worker has made those of one moment by partition."""
        sources = [self._logged(*each) for each in enumerate(self._partitions)]
        return merged(sources, attrgetter("moment"))

    async def _logged(self, partition: int, chunks: Chunks[ConsumerRecord]) -> Chunks[Logged]:
        moment, settings = 0.0, self._settings
        async for raw in chunks:
            records = log_records(raw, settings.topic_partitions, settings.transaction_schema)
            is_new = self._seen.add([each.decision.transaction_id for each in records]).tolist()
            found = []
            for each, new in zip(records, is_new, strict=True):
                if new:
                    # Where a clock has stepped back, the log has the order of what was decided.
                    moment = max(moment, each.decision.decided_at.timestamp())
                    found.append(Logged(moment, partition, each.decision))
            self.repeated += len(records) - len(found)
            yield found
