"""The records of the topic of progress: checkpoints of sinks, and purges of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timezone
from typing import Annotated, Final

from msgspec import Meta, Struct, json

from fraudapp.decisions.fingerprints import Fingerprint
from fraudapp.kafka.last_records import DIGEST_BYTES
from fraudapp.kafka.producer import NewRecord
from models.records import Decision

_KEY: Final = re.compile(rb"([a-z][a-z0-9-]{0,31})/(0|[1-9][0-9]{0,4}|purged)")
_PURGED: Final = b"purged"


class Reached(Struct, frozen=True):
    """A checkpoint: the last decision of a partition that a sink has; None if it has none."""

    sink: str
    partition: int
    fingerprint: Fingerprint | None


class Purged(Struct, frozen=True):
    """A purge: decisions of the UTC days before this one were deleted from a sink."""

    sink: str
    before: date
    again: bool = False
    """Whether it repeats an earlier purge, whose record somebody else has overwritten."""


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
    """Return the record of an entry; its key makes it replace earlier ones."""
    if isinstance(entry, Purged):
        key = b"%b/%b" % (entry.sink.encode(), _PURGED)
        return key, json.encode(_Purged(entry.before, entry.again)), []
    key = b"%b/%d" % (entry.sink.encode(), entry.partition)
    if entry.fingerprint is None:
        return key, None, []
    offset, transaction_id, digest = entry.fingerprint
    return key, json.encode(_Reached(offset, transaction_id, digest.hex())), []


def hidden_by(key: bytes | None) -> str | None:
    """Return the sink whose purge a record with this key replaces; None if it replaces none."""
    found = _KEY.fullmatch(key or b"")
    return found[1].decode() if found and found[2] == _PURGED else None


def entry_of(key: bytes | None, value: bytes | None) -> Reached | Purged:
    """Return the entry of a record; raises `ValueError` for a record of another program."""
    found = _KEY.fullmatch(key or b"")
    if found is None:
        raise ValueError("its key is not SINK/PARTITION or SINK/purged")
    sink, about = found[1].decode(), found[2]
    if about == _PURGED:
        noted_purge = _decode_purged(value or b"")
        return Purged(sink, noted_purge.before, noted_purge.again)
    if value is None:
        return Reached(sink, int(about), None)
    noted = _decode_reached(value)
    fingerprint = Fingerprint(noted.offset, noted.transaction_id, bytes.fromhex(noted.digest))
    return Reached(sink, int(about), fingerprint)


def unpurged(decisions: Sequence[Decision], before: date | None) -> Sequence[Decision]:
    """Return the decisions of days that were not purged; the same sequence if none was."""
    if before is None:
        return decisions
    begin = datetime.combine(before, time(), timezone.utc)
    if all(each.decided_at >= begin for each in decisions):
        return decisions
    return [each for each in decisions if each.decided_at >= begin]
