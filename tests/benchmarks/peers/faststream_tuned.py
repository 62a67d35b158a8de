"""The same as `faststream_batch`, with the parser of ours in the place of FastStream's."""

from __future__ import annotations

from typing import Any

from faststream.kafka.annotations import KafkaMessage

from tests.benchmarks.peers.deciding import Record
from tests.benchmarks.peers.faststream_app import bulk, decider, run


async def as_they_are(message: KafkaMessage) -> Any:
    """Leave parsing to the parser that all contenders share."""
    return message.body


async def handle(values: Any, message: KafkaMessage) -> None:
    """Decide a batch; its offsets are committed once it is saved."""
    raws = message.raw_message
    await bulk.save(
        decider.messages(
            Record(each.topic, each.partition, each.offset, each.value) for each in raws
        )
    )


if __name__ == "__main__":
    run(handle, decoder=as_they_are)
