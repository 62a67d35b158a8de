"""By which a broker knows a batch again that comes a second time, and does not append it twice.

aiokafka has a producer that does that, too. But it tries without end, in silence, and is of no use
any more once the broker has lost what it knew of it; so its other one is used, and the numbers are
given here. See KIP-98 for what a broker makes of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupLoadInProgressError,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownProducerId,
    for_code,
)
from aiokafka.protocol.transaction import InitProducerIdRequest

log = logging.getLogger(__name__)

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What a broker answers to a batch above `max.message.bytes`, or above `segment.bytes`."""
FORGOTTEN: Final = (
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    ProducerFenced,  # which aiokafka makes of an invalid epoch
    UnknownProducerId,
)
"""What a broker answers that knows other batches of a producer, such as one that was restored."""
_NOT_APPENDED: Final = (*TOO_LARGE, TopicAuthorizationFailedError)
_PATIENCE: Final = 2
WITHIN: Final = 5.0
"""Seconds that a broker may take to give an identity."""
_NONE: Final = (-1, -1)
_NUMBERS: Final = 2**31
# Asked for without a transaction, it means nothing.
_TIMEOUT_MS: Final = 60_000
_LOADING: Final = 0.1


class Sequence:
    """The batches that go to one partition, one after the other.

    A batch keeps its number until the broker has confirmed it. What became of it if nobody waited
    that long is not known, and its number may not be given to another one, which the broker would
    take for the same: then they go on under another identity.
    """

    def __init__(self, partition: TopicPartition) -> None:
        self._partition = partition
        self._turn: Final = asyncio.Lock()
        self._producer: tuple[int, int] | None = None
        self._next = 0
        self._begun = False  # something was confirmed under this identity
        self._refusals = 0  # of first batches
        self._uncertain = False  # whether the broker has the last batch

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for those before, and hold up others until all of these batches are confirmed."""
        async with self._turn:
            try:
                yield
            except BaseException:
                if self._uncertain:
                    self._producer = None
                raise

    async def begin(self, client: AIOKafkaClient) -> None:
        """Ask a broker for an identity, unless there is one. Raises `KafkaError`."""
        if self._producer is None:
            # Not every broker takes any number for the first, or any at all.
            asked = _identity(client, self._partition) if self._refusals < _PATIENCE else None
            self._producer = await asked if asked else _NONE
            # A broker that was restored may give an identity again that somebody else has still:
            # were both to begin at zero, it would take batches of one for those of the other.
            self._next = 0 if self._refusals else random.randrange(_NUMBERS)  # noqa: S311
            self._begun = self._uncertain = False

    def number(self, batch: Any) -> None:
        """Give a batch that is not yet built the number that comes next."""
        if self._producer is not None and self._producer != _NONE:
            batch._set_producer_state(*self._producer, self._next)

    def confirmed(self, records: int) -> None:
        """Take so many records as appended."""
        self._next = (self._next + records) % _NUMBERS
        self._begun, self._uncertain = True, False

    def failed(self, exc: BaseException) -> None:
        """Note why the batch that was sent last is not confirmed; it is to be sent again."""
        if isinstance(exc, _NOT_APPENDED):
            return
        final = isinstance(exc, KafkaError) and not exc.retriable
        if isinstance(exc, FORGOTTEN) or (final and not self._begun):
            self._refusals += not self._begun
            self._producer = None
        else:
            self._uncertain = True


async def _identity(client: AIOKafkaClient, partition: TopicPartition) -> tuple[int, int]:
    """Return the id and the epoch of a new producer, or none where the broker gives no such."""
    there = f"{partition.topic}/{partition.partition}"
    # Who leads the partition has to be there anyway.
    node = client.cluster.leader_for_partition(partition)
    if node is None or node < 0:
        node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await asyncio.wait_for(_asked(client, node), WITHIN)
        if answer.error_code:
            raise for_code(answer.error_code)
    except asyncio.TimeoutError:
        raise KafkaTimeoutError(f"no producer id within {WITHIN:g} s") from None
    except KafkaError as exc:
        if exc.retriable:
            await client.force_metadata_update()
            raise
        # It may not give us one, or gives none to anybody.
        log.debug(
            "%s: one batch may be there twice after trouble, for want of an id: %r", there, exc
        )
        return _NONE
    return answer.producer_id, answer.producer_epoch


async def _asked(client: AIOKafkaClient, node: int) -> Any:
    request = InitProducerIdRequest(None, _TIMEOUT_MS)
    while (answer := await client.send(node, request)).error_code == GroupLoadInProgressError.errno:
        await asyncio.sleep(_LOADING)  # it has just started, or has no controller
    return answer
