"""The same as `faststream_batch`, with the parser of ours in the place of FastStream's."""

from __future__ import annotations

from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from fraudapp.settings import load
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider, Record

settings = load()
broker = KafkaBroker(",".join(settings.bootstrap_servers), logger=None)
app = FastStream(broker, logger=None)
bulk = Bulk(settings)
decider = Decider(settings)


async def as_they_are(message: KafkaMessage) -> Any:
    """Leave parsing to the parser that all contenders share."""
    return message.body


async def handle(values: Any, message: KafkaMessage) -> None:
    """Decide a batch; the broker is told once it is kept."""
    raws = message.raw_message
    await bulk.save(
        decider.messages(
            Record(each.topic, each.partition, each.offset, each.value) for each in raws
        )
    )


# As `@broker.subscriber(...)`, which type checkers refuse where FastStream is not installed.
broker.subscriber(
    settings.transactions_topic,
    batch=True,
    max_records=2_000,
    group_id=settings.app_id,
    auto_offset_reset="earliest",
    decoder=as_they_are,
)(handle)


async def main() -> None:
    """Run until killed."""
    await bulk.open()
    await app.run()


if __name__ == "__main__":
    uvloop.run(main())
