"""Reports transactions that the broker has deleted before this application decided them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord
from faust.types import TP

from fraudapp import metrics

log = logging.getLogger(__name__)


class LostRecords:
    """What the broker no longer has of each partition; each range is reported once."""

    def __init__(self) -> None:
        self.missing: dict[TP, int] = {}
        """By partition, the fetch offset that the broker does not have; the client adds to it."""
        self._reported: dict[TP, int] = {}  # offset after the last one that was reported

    def report(self, fetched: Mapping[TP, Sequence[ConsumerRecord]]) -> None:
        """Log and count what lies between `missing` and the first record fetched after it."""
        for tp in fetched.keys() & self.missing.keys():
            begin, end = self.missing.pop(tp), fetched[tp][0].offset
            begin = max(begin, self._reported.get(tp, 0))  # a seek may lead there again
            if begin < end:
                self._reported[tp] = end
                metrics.lost_messages.labels(str(tp.partition)).inc(end - begin)
                log.critical(
                    "%s/%d was deleted from offset %d to %d before it was decided: what it "
                    "held is lost here; see retention.ms of the topic",
                    *(*tp, begin, end - 1),
                )

    def report_unknown_past(self, earliest: Mapping[TP, int]) -> None:
        """Log which partitions, of which nothing is committed, do not begin at offset 0."""
        for tp, offset in earliest.items():
            if offset > self._reported.get(tp, 0):
                self._reported[tp] = offset
                log.warning(
                    "nothing of %s/%d is committed, and it begins at offset %d: what was before "
                    "was deleted, and if it was not decided, it never will be",
                    *(*tp, offset),
                )
