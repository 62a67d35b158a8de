"""A record of the dead-letter queue (DLQ) as it is read, and the rules of its replay.

Anybody may write to the dead-letter topic, so that no header can be relied on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from aiokafka import ConsumerRecord

from fraudapp.messages.publish import FORM, LOST, REENCODED
from models.errors import Rejected
from models.key_hash import key_partitions, partition_of


class CannotReplay(Rejected):
    """A dead letter that cannot be replayed; the message says why."""


class Identified(Protocol):
    """What an input holds, whatever its topic is: it is about a transaction."""

    @property
    def transaction_id(self) -> str:
        """The id, by whose key partition it is handled."""


Parse = Callable[["bytes | None"], Identified]
"""Reads the value of an input of one topic; raises `Rejected` if it is invalid."""


class DeadLetter(NamedTuple):
    """A rejected input, and why it was rejected."""

    partition: int
    offset: int
    """Offset of the dead letter itself, in `partition` of the dead-letter topic."""
    key: bytes | None
    raw: bytes | None
    """The input exactly as it was read, unless `lost` says otherwise."""
    reason: str
    detail: str
    topic: str
    """Topic that its producer had put it in."""
    source: str
    """Position in that topic, as PARTITION:OFFSET."""
    lost: Mapping[str, str] = {}
    """Size and hash of an original key or value that is not whole here, by header name."""

    @property
    def name(self) -> str:
        """Its name in commands: PARTITION:OFFSET, in the dead-letter topic."""
        return f"{self.partition}:{self.offset}"

    @property
    def cut(self) -> bool:
        """Whether only the beginning of the value is left."""
        return "raw-bytes" in self.lost and self.lost.get(FORM) != REENCODED.decode()


def dead_letter_of(record: ConsumerRecord) -> DeadLetter:
    """Return the dead letter in a record of its topic; headers that are missing become ""."""
    headers = texts_of(record)
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        raw=record.value,
        reason=headers.get("reason", ""),
        detail=headers.get("detail", ""),
        topic=headers.get("topic", ""),
        source=f"{headers.get('partition', '?')}:{headers.get('offset', '?')}",
        lost={name: headers[name] for name in LOST if headers.get(name)},
    )


def texts_of(record: ConsumerRecord) -> dict[str, str]:
    """Return the headers of any record as texts; of several with one name, the last."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def check(letter: DeadLetter, topics: Collection[str], repaired: bool) -> None:
    """Raise `CannotReplay` if a dead letter cannot be replayed to its topic, one of `topics`.

    `repaired` says that the operator gives a value to send in place of the raw bytes.
    """
    if letter.topic not in topics:
        raise CannotReplay(
            f"dead letter {letter.name} came from {letter.topic or 'an unknown topic'}, "
            f"not from {' or '.join(topics)}"
        )
    if letter.cut and not repaired:
        raise CannotReplay(
            f"dead letter {letter.name} holds only {len(letter.raw or b''):,} of "
            f"{letter.lost['raw-bytes']} bytes, and cannot be sent back as it is: give the whole "
            "value with --value or --value-file"
        )
    if letter.reason == "refused" and not repaired:
        raise CannotReplay(
            f"dead letter {letter.name} holds a decision, not an input, which a sink has refused "
            f"({letter.detail[:200]}): once the sink takes it, set it back, and the log has it"
        )


def destination(letter: DeadLetter, value: bytes | None, partitions: int, parse: Parse) -> int:
    """Return the partition, of a topic with so many, to which a dead letter is replayed.

    `value` is the value to be sent, raw or repaired, and `parse` reads it. The result is the key
    partition of its transaction id; else that of the record key; else the partition that it came
    from.
    """
    try:
        return key_partitions([parse(value).transaction_id], partitions)[0]
    except Rejected:
        pass
    if letter.key is not None and "key-bytes" not in letter.lost:
        return partition_of(letter.key, partitions)
    digits = letter.source.partition(":")[0]
    source = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else -1
    return source if 0 <= source < partitions else letter.partition % partitions
