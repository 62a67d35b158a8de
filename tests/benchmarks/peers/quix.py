"""Quix Streams with a batching sink, its documentation's way to a database, and bulk sinks."""

from __future__ import annotations

import asyncio

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from fraudapp.settings import load
from models.schema.schema import PAYSIM
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider, Record

settings = load()


class Deciding(BatchingSink):  # type: ignore[misc]
    """Decides and keeps what has gathered since the last checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._bulk = Bulk(settings)
        self._decider = Decider(settings)

    def setup(self) -> None:
        """Connect."""
        self._loop.run_until_complete(self._bulk.open())

    def write(self, batch: SinkBatch) -> None:
        """Decide and keep a batch of one partition."""
        decisions = self._decider.transactions(
            (
                Record(batch.topic, batch.partition, item.offset, b""),
                PAYSIM.parser.from_mapping(item.value),
            )
            for item in batch
        )
        self._loop.run_until_complete(self._bulk.save(decisions))


def main() -> None:
    """Run until killed."""
    app = Application(
        broker_address=",".join(settings.bootstrap_servers),
        consumer_group=settings.app_id,
        auto_offset_reset="earliest",
        commit_every=2_000,
        loglevel="WARNING",
    )
    frame = app.dataframe(app.topic(settings.transactions_topic, value_deserializer="json"))
    frame.sink(Deciding())
    app.run()


if __name__ == "__main__":
    main()
