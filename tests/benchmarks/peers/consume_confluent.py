"""What confluent-kafka (librdkafka) delivers when nothing is done with it."""

from __future__ import annotations

from confluent_kafka import Consumer

from fraudapp.settings import load
from tests.benchmarks.peers.bulk import Progress


def main() -> None:
    """Run until killed."""
    settings, progress = load(), Progress()
    consumer = Consumer(
        {
            "bootstrap.servers": ",".join(settings.bootstrap_servers),
            "group.id": settings.app_id,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([settings.transactions_topic])
    while True:
        progress.add(len(consumer.consume(5_000, 0.2)))


if __name__ == "__main__":
    main()
