"""Turns records of the decisions topic into decisions.

Anybody with access can write to the topic. Only records that a worker can have written count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta, timezone
from typing import Final

from aiokafka import ConsumerRecord
from msgspec import Struct

from fraudapp.decisions.fingerprints import Fingerprint, fingerprint_of
from fraudapp.kafka.foreign_records import report_foreign_record
from models.characters import allowed_to_others
from models.key_hash import key_partitions
from models.parsing import UNREADABLE
from models.records import Decision
from models.schema.schema import PAYSIM, Schema

_ZERO: Final = timedelta()
_DEL: Final = b"\x7f"
_YEARS: Final = range(1970, 9_999)
"""Years that a worker's clock can show, and in which the day of a decision can be computed."""


class LogRecord(Struct, frozen=True, gc=False):
    """A decision, its JSON, and its offset in the log."""

    offset: int
    decision: Decision
    encoded: bytes

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint by which this decision is recognised at its offset."""
        return fingerprint_of(self.offset, self.decision.transaction_id, self.encoded)


def log_records(
    raw: Sequence[ConsumerRecord], partitions: int, schema: Schema = PAYSIM
) -> list[LogRecord]:
    """Return the decisions among records of the decisions topic, which has so many `partitions`.

    A decision that a worker wrote has its transaction id as the key, is in the key partition of
    that id, and can be saved in every sink. All other records are skipped, with a log message.
    """
    found = _all_sound(raw, schema) or [
        (each, record) for each in raw if (record := _decoded(each, schema))
    ]
    expected = key_partitions([record.decision.transaction_id for _, record in found], partitions)
    records = []
    for (each, record), key_partition in zip(found, expected, strict=True):
        if key_partition == each.partition:
            records.append(record)
        else:
            _skip(each, f"the key partition of its transaction_id is {key_partition}")
    return records


def _all_sound(
    raw: Sequence[ConsumerRecord], schema: Schema
) -> list[tuple[ConsumerRecord, LogRecord]]:
    """Return what all records hold, if one look at all of them finds no flaw; else nothing."""
    values = [each.value for each in raw]
    try:
        decisions = [*map(schema.decode, values)]
    except (*UNREADABLE, TypeError):
        return []
    ids = [each.transaction_id for each in decisions]
    moments = [each.decided_at for each in decisions]
    is_sound = (
        [each.key for each in raw] == [each.encode() for each in ids]
        and [each.transaction.transaction_id for each in decisions] == ids
        and all(each.tzinfo is timezone.utc and each.year in _YEARS for each in moments)
        and _is_plain(b"".join(values))
    )
    if not is_sound:
        return []
    records = map(LogRecord, [each.offset for each in raw], decisions, values)
    return [*zip(raw, records, strict=True)]


def _decoded(raw: ConsumerRecord, schema: Schema) -> LogRecord | None:
    try:
        decision = schema.decode(raw.value)
    except (*UNREADABLE, TypeError) as exc:
        _skip(raw, f"it is no decision: {exc}")
        return None
    if flaw := _flaw(raw, decision, schema):
        _skip(raw, flaw)
        return None
    return LogRecord(raw.offset, decision, raw.value)


def _flaw(raw: ConsumerRecord, decision: Decision, schema: Schema) -> str | None:
    """Return why no worker can have written this decision; None if one can."""
    if raw.key != decision.transaction_id.encode():
        return "its key is not its transaction_id"
    if decision.transaction.transaction_id != decision.transaction_id:
        return "its transaction has another transaction_id"
    at = decision.decided_at
    if (at.tzinfo is not timezone.utc and at.utcoffset() != _ZERO) or at.year not in _YEARS:
        return f"decided_at {at.isoformat()} is no time of a worker's clock"
    json: bytes = raw.value
    if _is_plain(json):
        return None
    if not allowed_to_others(schema.parser.texts(decision.transaction)):
        return "its transaction holds characters that are refused"
    # The escape in the JSON is a quick test. It also matches the text of a backslash and "u0000",
    # so the decoded texts decide.
    if b"\\u0000" in json and any("\0" in text for text in _worker_texts(decision)):
        return "it holds a NUL character"
    return None


def _is_plain(json: bytes) -> bool:
    """Whether JSON can hold only characters that are printed, as nearly all does.

    It has no escapes, and control characters are not JSON, but for DEL.
    """
    return json.isascii() and b"\\" not in json and _DEL not in json


def _worker_texts(decision: Decision) -> Iterator[str]:
    """Yield the texts of a decision that its worker made, and not the sender."""
    yield from (decision.model_version, decision.policy_version, decision.topic)
    yield from decision.hits
    yield from decision.shadow
    for reason in decision.reasons:
        yield from (reason.code, reason.text)


def _skip(raw: ConsumerRecord, why: object) -> None:
    report_foreign_record(raw.topic, raw.partition, raw.offset, why)
