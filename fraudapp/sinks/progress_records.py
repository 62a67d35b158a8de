"""The records of the topic of progress: how far sinks have come, and what was purged from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timezone
from typing import Annotated, Final

from msgspec import Meta, Struct, json

from fraudapp.decisions.fingerprints import DIGEST_BYTES, Fingerprint
from fraudapp.kafka.producer import NewRecord
from models.records import Decision

_KEY: Final = re.compile(rb"([a-z][a-z0-9-]{0,31})/(0|[1-9][0-9]{0,4}|purged)")
_PURGED: Final = b"purged"


class Reached(Struct, frozen=True):
    """The last decision of a partition, as far as a sink has come; None if it has nothing."""

    sink: str
    partition: int
    fingerprint: Fingerprint | None


class Purged(Struct, frozen=True):
    """What was decided on UTC days before this one was purged from a sink."""

    sink: str
    before: date
    again: bool = False
    """Whether it was noted before, and takes the place of what a stranger has written there."""


class _Reached(Struct, frozen=True):
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    transaction_id: Annotated[str, Meta(min_length=1)]
    digest: Annotated[str, Meta(pattern=f"^[0-9a-f]{{{2 * DIGEST_BYTES}}}$")]


class _Purged(Struct, frozen=True, omit_defaults=True):
    before: date
    again: bool = False


_decode_reached: Final = json.Decoder(_Reached).decode
_decode_purged: Final = json.Decoder(_Purged).decode


def written(entry: Reached | Purged) -> NewRecord:
    """Return the record that says so, and takes the place of earlier ones."""
    if isinstance(entry, Purged):
        key = b"%b/%b" % (entry.sink.encode(), _PURGED)
        return key, json.encode(_Purged(entry.before, entry.again)), []
    key = b"%b/%d" % (entry.sink.encode(), entry.partition)
    if entry.fingerprint is None:
        return key, None, []
    offset, transaction_id, digest = entry.fingerprint
    return key, json.encode(_Reached(offset, transaction_id, digest.hex())), []


def hidden_by(key: bytes | None) -> str | None:
    """Name of the sink of whose purges a record with this key takes the place."""
    found = _KEY.fullmatch(key or b"")
    return found[1].decode() if found and found[2] == _PURGED else None


def entry_of(key: bytes | None, value: bytes | None) -> Reached | Purged:
    """Return what a record says; raises `ValueError` for one that is none of ours."""
    found = _KEY.fullmatch(key or b"")
    if found is None:
        raise ValueError("its key is not STORE/PARTITION or STORE/purged")
    sink, what = found[1].decode(), found[2]
    if what == _PURGED:
        noted_purge = _decode_purged(value or b"")
        return Purged(sink, noted_purge.before, noted_purge.again)
    if value is None:
        return Reached(sink, int(what), None)
    noted = _decode_reached(value)
    fingerprint = Fingerprint(noted.offset, noted.transaction_id, bytes.fromhex(noted.digest))
    return Reached(sink, int(what), fingerprint)


def unpurged(decisions: Sequence[Decision], before: date | None) -> Sequence[Decision]:
    """Return those that were not purged; the same sequence if that is all of them."""
    if before is None:
        return decisions
    begin = datetime.combine(before, time(), timezone.utc)
    if all(each.decided_at >= begin for each in decisions):
        return decisions
    return [each for each in decisions if each.decided_at >= begin]
