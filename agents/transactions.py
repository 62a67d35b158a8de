"""The decision path: topic → record → score → decision → stores and table → acknowledgement.

Nothing is acknowledged before everything about it is kept: decisions in every store and in the
topic of decisions, rejected inputs in the topic of dead letters, counts in the changelog. A crash
at any point is followed by a replay, and each of these steps can be repeated without harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, Final, cast

from faust import Stream
from faust.types import EventT, StreamT

from fraudapp.app import app, runtime, settings
from fraudapp.publishing import publish_dead_letters, publish_decisions
from fraudapp.stores.base import Batch
from models.admission import Admission, Input, Position, admit, read
from models.counts import DUPLICATE, Counted
from models.deciding import decide
from models.records import Decision
from tables.decision_counts import count

log = logging.getLogger(__name__)

transactions_topic: Final = app.topic(
    settings.transactions_topic,
    key_serializer="raw",
    # Raw bytes: what Faust cannot decode it acknowledges, and the message is gone.
    value_serializer="raw",
)


@app.agent(transactions_topic, concurrency=1)
async def transactions(stream: StreamT[Any]) -> None:
    """Decide transactions in micro-batches."""
    # Faust's interface of streams leaves this method out.
    take = cast(Stream[Any], stream).noack_take
    async for events in take(settings.batch_size, within=settings.batch_wait):
        await process(events)


async def process(events: Sequence[EventT[Any]]) -> None:
    """Take one batch the whole way, then acknowledge it.

    Raises whatever went wrong with nothing acknowledged: the worker ends, the batch is replayed.
    """
    admission, known = await _admit([_input(event) for event in events])
    decided = decide(
        admission.new,
        scorer=runtime.scorer,
        policy=runtime.policy,
        now=datetime.now(timezone.utc),
    )
    decisions = admission.replayed + decided
    await _keep(decisions, admission)
    if any(event.message.generation_id != app.consumer_generation_id for event in events):
        log.info("%d inputs now belong to another worker, which replays them", len(events))
        return
    await count(_by_partition(events, _counted(decisions, admission)))
    for event in events:
        event.ack()
    runtime.waiting.announce([*decisions, *known.values()])


async def _admit(inputs: Sequence[Input]) -> tuple[Admission, dict[str, Decision]]:
    candidates, invalid = read(inputs)
    ids = [candidate.transaction.transaction_id for candidate in candidates]
    known = await runtime.stores.decided(ids) if ids else {}
    admission = admit(candidates, known)
    admission.rejected.extend(invalid)
    return admission, known


async def _keep(decisions: Sequence[Decision], admission: Admission) -> None:
    batch = Batch(decisions)
    await asyncio.gather(
        runtime.stores.save(batch),
        publish_decisions(app, settings.decisions_topic, batch),
        publish_dead_letters(app, settings.dead_letters_topic, admission.rejected),
    )


def _input(event: EventT[Any]) -> Input:
    message = event.message
    position = Position(message.topic, message.partition, message.offset)
    return Input(message.key, message.value, position)


def _counted(decisions: Sequence[Decision], admission: Admission) -> dict[int, list[Counted]]:
    """What became of each input, by partition."""
    fates = [(each.partition, each.offset, each.decision.value) for each in decisions]
    for candidate in admission.repeated:
        fates.append((*candidate.input.position[1:], DUPLICATE))
    for rejection in admission.rejected:
        fates.append((*rejection.input.position[1:], rejection.reason))
    counted = defaultdict(list)
    for partition, offset, fate in fates:
        counted[partition].append(Counted(offset, fate))
    return counted


def _by_partition(
    events: Sequence[EventT[Any]], counted: dict[int, list[Counted]]
) -> dict[EventT[Any], list[Counted]]:
    last = {event.message.partition: event for event in events}
    return {event: counted[partition] for partition, event in last.items()}
