"""What both FastStream contenders share: a batch subscriber on aiokafka, and bulk sinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker

from fraudapp.settings import load
from tests.benchmarks.peers.bulk import Bulk
from tests.benchmarks.peers.deciding import Decider

settings = load()
bulk = Bulk(settings)
decider = Decider(settings)


def run(handle: Callable[..., Any], **options: Any) -> None:
    """Call `handle` with batches until killed; `options` are further ones of the subscriber."""
    broker = KafkaBroker(",".join(settings.bootstrap_servers), logger=None)
    # As `@broker.subscriber(...)`, which type checkers refuse where FastStream is not installed.
    broker.subscriber(
        settings.transactions_topic,
        batch=True,
        max_records=2_000,
        group_id=settings.app_id,
        auto_offset_reset="earliest",
        **options,
    )(handle)
    uvloop.run(_main(FastStream(broker, logger=None)))


async def _main(app: FastStream) -> None:
    await bulk.open()
    await app.run()
