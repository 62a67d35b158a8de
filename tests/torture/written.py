"""Records that the torture has written, so that its checker can tell them from the workers'."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from fraudapp.messages.publish import ORIGIN
from tests.torture.reading import Headers, Record


class Written:
    """Remembers by content, not by position: a producer that tries again may write twice."""

    def __init__(self) -> None:
        self.attempted: set[str] = set()
        """Ids of all valid transactions, whatever became of them."""
        self.confirmed: set[str] = set()
        """Ids that the broker has confirmed."""
        self.aborted: set[str] = set()
        """Ids in transactions of Kafka that nobody has committed."""
        self.cut: set[str] = set()
        """Ids of which the log may have lost a decision."""
        self.labels: dict[str, str] = {}
        """The id that each label is about which was sent, by the name of who tells it."""
        self.confirmed_labels: set[str] = set()
        """Names of those labels that the broker has confirmed."""
        self.cut_labels: set[str] = set()
        """Ids on which the topic may have lost a label, or its decision."""
        self.forged: set[tuple[bytes | None, bytes | None, Headers]] = set()
        """Key, value and headers of our own inputs and labels that claim to be rerouted."""
        self.foreign: set[tuple[str, int, bytes | None, bytes | None]] = set()
        """Topic, partition, key and value of records that a worker cannot have written."""
        self.purged: date | None = None
        """The first day that was kept, by the last purge of which the broker knows."""
        self.ever_purged: date | None = None
        """The same, of all purges."""

    def purge(self, before: date) -> None:
        """What was decided on the days before was purged."""
        self.purged = self.ever_purged = before

    def is_foreign(self, record: Record) -> bool:
        """Whether a record on a topic of the workers is a stranger's."""
        return (record.topic, record.partition, record.key, record.value) in self.foreign

    def is_copy(self, record: Record) -> bool:
        """Whether an input or a label was rerouted by a worker, and not sent by the torture."""
        if all(name != ORIGIN for name, _ in record.headers):
            return False
        return (record.key, record.value, record.headers) not in self.forged

    def of_workers(self, records: Iterable[Record]) -> list[Record]:
        """Records without those of strangers."""
        return [each for each in records if not self.is_foreign(each)]

    def set_back(
        self,
        confirmed: Collection[str],
        confirmed_labels: Collection[str],
        labelled: Collection[str],
        decided: Collection[str],
        purged: date | None,
    ) -> None:
        """The broker was set back to a moment at which it knew no more than this.

        `labelled` are ids on which labelled decisions have come since.
        """
        self.cut_labels |= self.attempted.difference(decided)
        # Stores have these with versions that they may not get again.
        self.cut_labels |= set(labelled) | {
            id_ for name, id_ in self.labels.items() if name not in confirmed_labels
        }
        self.confirmed_labels = set(confirmed_labels)
        self.cut |= self.attempted.difference(decided)
        self.confirmed = set(confirmed)
        self.purged = purged
