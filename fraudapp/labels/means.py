"""What joining labels needs: topics, decisions, and what is known already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.producer import BatchProducer
from fraudapp.labels.index import FILES, LabelIndex
from fraudapp.labels.known import KnownLabels
from fraudapp.labels.progress import Progress
from fraudapp.settings import Settings
from models.errors import Retryable
from models.records import Decision


class DecisionsUnread(Retryable):
    """The decision index of a partition is not ready; it will be, or another worker has it."""


@dataclass
class Means:
    """What the lanes of a worker share."""

    settings: Settings
    producer: BatchProducer
    decisions: DecisionLog
    known: KnownLabels
    consumer: AIOKafkaConsumer
    """It is assigned all partitions of the topic of labels; those without a lane are paused."""
    progress: Progress
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    """Ids of the topic of labels and of the labelled topic."""
    begun: set[int] = field(default_factory=set)
    """Partitions that this worker has had since its start."""

    def open_index(self, partition: int) -> LabelIndex:
        """Open the label index of a partition; raises one of `DATABASE_FAILED`."""
        topics = (self.settings.labels_topic, self.settings.labelled_topic)
        made_of = [
            LogIdentity(self.settings.app_id, topic, partition, self.topic_ids.get(topic, ""))
            for topic in topics
        ]
        folder = self.settings.data_dir / "labels" / f"partition-{partition}"
        return LabelIndex(folder, made_of, files=FILES)

    def find(self, partition: int, transaction_ids: Iterable[str]) -> dict[str, Decision]:
        """Return the decisions on ids of a partition, as far as they are known.

        Raises `DecisionsUnread`, or one of `INDEX_FAILED`.
        """
        index = self.decisions.index(partition)
        if index is None:
            raise DecisionsUnread(f"the decision index of partition {partition} is not ready")
        try:
            return index.find([*dict.fromkeys(transaction_ids)])
        except INDEX_FAILED as exc:
            self.decisions.repair(exc)
            raise

    async def know_all(self, partition: int) -> None:
        """Return once all labelled decisions of a partition are known here; raises `KafkaError`."""
        tp = TopicPartition(self.settings.labelled_topic, partition)
        end = (await ends(self.consumer, [tp]))[tp].stable
        await self.known.read_to(partition, end)
