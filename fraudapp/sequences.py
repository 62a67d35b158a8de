"""By which a broker knows a batch again that comes a second time, and does not append it twice.

aiokafka has a producer that does that, too. But it tries without end, in silence, and is of no use
any more once the broker has lost what it knew of it; so its other one is used, and the numbers are
given here. See KIP-98 for what a broker makes of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    KafkaError,
    NodeNotReadyError,
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    for_code,
)
from aiokafka.protocol.transaction import InitProducerIdRequest

log = logging.getLogger(__name__)

UNKNOWN: Final = (InvalidProducerEpoch, OutOfOrderSequenceNumber, UnknownProducerId)
"""What a broker answers that has forgotten batches, such as one restored from a copy."""
_NONE: Final = (-1, -1)
_NUMBERS: Final = 2**31
# Asked for without a transaction, it means nothing.
_TIMEOUT_MS: Final = 60_000
_LOADING: Final = 0.1


class Sequence:
    """The batches that go to one partition, one after the other.

    A batch keeps its number until the broker has confirmed it. What became of it if nobody waited
    that long is not known, and its number may not be given to another one, which the broker would
    take for the same: see `begin_anew`.
    """

    def __init__(self) -> None:
        self._turn: Final = asyncio.Lock()
        self._producer: tuple[int, int] | None = None
        self._next = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for those before, and hold up others until all of these batches are confirmed."""
        async with self._turn:
            try:
                yield
            except BaseException:
                self.begin_anew()
                raise

    async def begin(self, client: AIOKafkaClient) -> None:
        """Ask a broker for an identity, unless there is one. Raises `KafkaError`."""
        if self._producer is None:
            self._producer = await _identity(client)
            self._next = 0

    def begin_anew(self) -> None:
        """Go on under another identity, to which no batch of before belongs."""
        self._producer = None

    def number(self, batch: Any) -> None:
        """Give a batch that is not yet built the number that comes next."""
        if self._producer is not None and self._producer != _NONE:
            batch._set_producer_state(*self._producer, self._next)

    def confirmed(self, records: int) -> None:
        """Take so many records as appended."""
        self._next = (self._next + records) % _NUMBERS


async def _identity(client: AIOKafkaClient) -> tuple[int, int]:
    """Return the id and the epoch of a new producer, or none where the broker gives no such."""
    try:
        while (answer := await _asked(client)).error_code == GroupLoadInProgressError.errno:
            await asyncio.sleep(_LOADING)  # a broker that has just started
        if answer.error_code:
            raise for_code(answer.error_code)
    except (ClusterAuthorizationFailedError, IncompatibleBrokerVersion) as exc:
        log.info("the broker knows no batch again, one may be there twice after trouble: %r", exc)
        return _NONE
    except KafkaError:
        await client.force_metadata_update()
        raise
    return answer.producer_id, answer.producer_epoch


async def _asked(client: AIOKafkaClient) -> Any:
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    return await client.send(node, InitProducerIdRequest(None, _TIMEOUT_MS))
