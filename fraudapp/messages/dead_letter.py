"""A dead letter as it is read, whoever wrote it, and whether it can be sent back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import ConsumerRecord

from fraudapp.messages.publish import FORM, LOST, REENCODED
from models.errors import Rejected
from models.key_hash import key_partitions, partition_of
from models.parsing import InvalidTransaction, parse


class CannotReplay(Rejected):
    """A letter that cannot be sent back; the message says why."""


class DeadLetter(NamedTuple):
    """A rejected input and why it was rejected."""

    partition: int
    offset: int
    """Where the letter itself is, in the topic of dead letters."""
    key: bytes | None
    raw: bytes | None
    """The input exactly as it was read, unless `lost` tells otherwise."""
    reason: str
    detail: str
    topic: str
    """The topic it was read from."""
    source: str
    """Where in that topic: PARTITION:OFFSET."""
    lost: Mapping[str, str] = {}
    """Size and hash of what is not whole, by the name of their header."""

    @property
    def name(self) -> str:
        """How commands call it: PARTITION:OFFSET."""
        return f"{self.partition}:{self.offset}"

    @property
    def cut(self) -> bool:
        """Whether only the beginning of the input is left."""
        return "raw-bytes" in self.lost and self.lost.get(FORM) != REENCODED.decode()


def letter_of(record: ConsumerRecord) -> DeadLetter:
    """Return what a record of the topic of dead letters tells, be it ours or somebody else's."""
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
    """Return the headers of any record as texts: the last of each name, "" for none."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def check(letter: DeadLetter, topic: str, repaired: bool) -> None:
    """Raise `CannotReplay` if a letter cannot be sent back to `topic`, or only `repaired`."""
    if letter.topic != topic:
        raise CannotReplay(
            f"dead letter {letter.name} came from {letter.topic or 'an unknown topic'}, "
            f"not from {topic}"
        )
    if letter.cut and not repaired:
        raise CannotReplay(
            f"dead letter {letter.name} holds only {len(letter.raw or b''):,} of "
            f"{letter.lost['raw-bytes']} bytes, and cannot be sent back as it is: give the whole "
            "transaction with --value or --value-file"
        )
    if letter.reason == "refused" and not repaired:
        raise CannotReplay(
            f"dead letter {letter.name} holds a decision, not an input, which a sink has refused "
            f"({letter.detail[:200]}): once the sink takes it, set it back, and the log has it"
        )


def destination(letter: DeadLetter, value: bytes | None, partitions: int) -> int:
    """Return the partition that a letter is sent back to, with this value.

    Where its transaction is at home; else where its key belongs; else where it came from.
    """
    try:
        return key_partitions([parse(value).transaction_id], partitions)[0]
    except InvalidTransaction:
        pass
    if letter.key is not None and "key-bytes" not in letter.lost:
        return partition_of(letter.key, partitions)
    number = letter.source.partition(":")[0]
    source = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else -1
    return source if 0 <= source < partitions else letter.partition % partitions
