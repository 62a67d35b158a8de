"""Producer ids and sequence numbers, by which a broker drops a batch that it has appended before.

aiokafka has an idempotent producer, too. But it retries for ever without logging, and is
unusable once the broker has lost its state of the producer id. So aiokafka's plain producer is
used, and its batches are numbered here. KIP-98 says how a broker treats the numbers.
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
"""Errors of a broker for a batch above `max.message.bytes`, or above `segment.bytes`."""
PRODUCER_STATE_LOST: Final = (
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    ProducerFenced,  # aiokafka raises it for an invalid epoch
    UnknownProducerId,
)
"""Errors of a broker that has lost its state of the producer id, or has an older one."""
_NOT_APPENDED: Final = (*TOO_LARGE, TopicAuthorizationFailedError)
"""Errors after which the batch is certainly not in the log."""
_MAX_REFUSED_FIRST_BATCHES: Final = 2
"""First batches that brokers may refuse until the partition goes on without a producer id."""
INIT_PRODUCER_ID_TIMEOUT: Final = 5.0
"""Seconds that a broker may take to give a producer id."""
_NO_PRODUCER_ID: Final = (-1, -1)
_SEQUENCE_NUMBERS: Final = 2**31
"""Sequence numbers wrap to 0 after so many."""
# The request has to name a transaction timeout; without a transactional id it means nothing.
_TRANSACTION_TIMEOUT_MS: Final = 60_000
_LOADING_PAUSE_SECONDS: Final = 0.1
"""Seconds until a broker that is loading its state is asked again."""


class PartitionSequence:
    """The producer id and the next sequence number for the batches of one partition.

    A batch keeps its sequence number until the broker has confirmed it. If its sender gives up
    before that, it is unknown whether the batch was appended. Its number may then not go to another
    batch, which the broker would drop as a duplicate: the partition goes on under a new producer
    id.

    The caller sends one batch at a time, within `turn`: first `begin`, and then for each batch
    `number` before it is sent, and `confirmed` or `failed` afterwards.
    """

    def __init__(self, partition: TopicPartition) -> None:
        self._partition = partition
        self._turn: Final = asyncio.Lock()
        self._producer: tuple[int, int] | None = None
        self._next = 0
        self._begun = False  # whether a batch was confirmed under this producer id
        self._refused_first_batches = 0
        self._uncertain = False  # whether the last batch may be in the log, unconfirmed

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for earlier callers, and hold up later ones until the batches here are confirmed."""
        async with self._turn:
            try:
                yield
            except BaseException:
                if self._uncertain:
                    self._producer = None
                raise

    async def begin(self, client: AIOKafkaClient) -> None:
        """Ask a broker for a producer id, unless there is one. Raises `KafkaError`."""
        if self._producer is None:
            refused = self._refused_first_batches
            # Some brokers take only 0 as the first sequence number, or no number at all.
            asks = refused < _MAX_REFUSED_FIRST_BATCHES
            self._producer = (
                await _init_producer_id(client, self._partition) if asks else _NO_PRODUCER_ID
            )
            # A restored broker may give out a producer id that another producer still uses. If both
            # began at 0, it would drop the batches of one as duplicates of the other's.
            self._next = 0 if refused else random.randrange(_SEQUENCE_NUMBERS)  # noqa: S311
            self._begun = self._uncertain = False

    def number(self, batch: Any) -> None:
        """Give the next sequence number to a batch that is not yet built."""
        if self._producer is not None and self._producer != _NO_PRODUCER_ID:
            batch._set_producer_state(*self._producer, self._next)

    def confirmed(self, records: int) -> None:
        """Note that the batch sent last, of so many records, is appended."""
        self._next = (self._next + records) % _SEQUENCE_NUMBERS
        self._begun, self._uncertain = True, False

    def failed(self, exc: BaseException) -> None:
        """Note why the batch sent last is not confirmed; the caller sends it again or gives up."""
        if isinstance(exc, _NOT_APPENDED):
            return
        final = isinstance(exc, KafkaError) and not exc.retriable
        if isinstance(exc, PRODUCER_STATE_LOST) or (final and not self._begun):
            self._refused_first_batches += not self._begun
            self._producer = None
        else:
            self._uncertain = True


async def _init_producer_id(client: AIOKafkaClient, tp: TopicPartition) -> tuple[int, int]:
    """Return a new producer id and its epoch, or `_NO_PRODUCER_ID` if the broker gives none.

    Raises `KafkaError` for errors that may pass.
    """
    # Any broker can answer; the leader of the partition has to be up for the batches anyway.
    node = client.cluster.leader_for_partition(tp)
    if node is None or node < 0:
        node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        answer = await asyncio.wait_for(_ask(client, node), INIT_PRODUCER_ID_TIMEOUT)
        if answer.error_code:
            raise for_code(answer.error_code)
    except asyncio.TimeoutError:
        raise KafkaTimeoutError(f"no producer id within {INIT_PRODUCER_ID_TIMEOUT:g} s") from None
    except KafkaError as exc:
        if exc.retriable:
            await client.force_metadata_update()
            raise
        # The broker may not give an id to this user, or has none to give.
        where = f"{tp.topic}/{tp.partition}"
        log.debug("%s: no producer id, so retries may append a batch twice: %r", where, exc)
        return _NO_PRODUCER_ID
    return answer.producer_id, answer.producer_epoch


async def _ask(client: AIOKafkaClient, node: int) -> Any:
    request = InitProducerIdRequest(None, _TRANSACTION_TIMEOUT_MS)
    while (answer := await client.send(node, request)).error_code == GroupLoadInProgressError.errno:
        # The broker has just started, or the cluster has no controller.
        await asyncio.sleep(_LOADING_PAUSE_SECONDS)
    return answer
