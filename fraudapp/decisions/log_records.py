"""From records of the decision log to decisions: those that a worker of ours can have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from aiokafka import ConsumerRecord

from fraudapp.decisions.batch import decode
from fraudapp.decisions.fingerprints import Fingerprint, fingerprint_of
from fraudapp.kafka.foreign_records import passed_over
from models.characters import allowed_to_others
from models.key_hash import key_partitions
from models.parsing import UNREADABLE
from models.records import Decision

_ZERO: Final = timedelta()
_YEARS: Final = range(1970, 9_999)
"""Those in which any clock of ours can be, and in which the days of a decision can be reckoned."""


class LogRecord(NamedTuple):
    """A decision and where it is in the log."""

    offset: int
    decision: Decision
    encoded: bytes

    @property
    def fingerprint(self) -> Fingerprint:
        """By which it is known again."""
        return fingerprint_of(self.offset, self.decision.transaction_id, self.encoded)


def log_records(raw: Iterable[ConsumerRecord], partitions: int) -> list[LogRecord]:
    """Return the decisions of a log with so many partitions; all else is passed over.

    A decision that we wrote has its id as the key, is in the id's home partition, and holds what
    every sink can keep.
    """
    found = [(each, record) for each in raw if (record := _decoded(each))]
    homes = key_partitions([record.decision.transaction_id for _, record in found], partitions)
    kept = []
    for (each, record), home in zip(found, homes, strict=True):
        if home == each.partition:
            kept.append(record)
        else:
            _pass_over(each, f"the home of its transaction_id is partition {home}")
    return kept


def _decoded(raw: ConsumerRecord) -> LogRecord | None:
    try:
        decision = decode(raw.value)
    except (*UNREADABLE, TypeError) as exc:
        _pass_over(raw, f"it is no decision: {exc}")
        return None
    if wrong := _what_is_wrong(raw, decision):
        _pass_over(raw, wrong)
        return None
    return LogRecord(raw.offset, decision, raw.value)


def _what_is_wrong(raw: ConsumerRecord, decision: Decision) -> str | None:
    if raw.key != decision.transaction_id.encode():
        return "its key is not its transaction_id"
    if decision.transaction.transaction_id != decision.transaction_id:
        return "its transaction has another transaction_id"
    if decision.decided_at.utcoffset() != _ZERO or decision.decided_at.year not in _YEARS:
        return f"decided_at {decision.decided_at.isoformat()} is no moment of a worker's clock"
    sent = decision.transaction
    if not allowed_to_others(f"{sent.transaction_id}{sent.nameOrig}{sent.nameDest}"):
        return "its transaction holds characters that are refused"
    # Text has it too where a backslash comes before "u0000".
    if b"\\u0000" in raw.value and any("\0" in text for text in _texts_of_ours(decision)):
        return "it holds a NUL character"
    return None


def _texts_of_ours(decision: Decision) -> Iterator[str]:
    yield from (decision.model_version, decision.policy_version, decision.topic)
    for reason in decision.reasons:
        yield from (reason.code, reason.text)


def _pass_over(raw: ConsumerRecord, why: object) -> None:
    passed_over(raw.topic, raw.partition, raw.offset, why)
