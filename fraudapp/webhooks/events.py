"""What is told: events, with ids by which receivers know them when they come again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal, NamedTuple, cast
from urllib.parse import quote

import msgspec

from models.control.chain import Candidate
from models.control.records import CapKey, Capped, ControlRecord, ListKey
from models.control.state import Change, ControlState
from models.records import Decision

Type = Literal["decision.blocked", "policy.changed", "cap.begun", "cap.ended"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_encode: Final = msgspec.json.Encoder().encode


class Event(NamedTuple):
    """One thing that happened, and the offset of the record that says so."""

    offset: int
    type: Type
    id: str
    """The same however often it is told; without full stops, which separate what is signed."""
    happened_at: datetime
    data: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """The JSON that is sent."""
        return _encode({"type": self.type, "timestamp": self.happened_at, "data": self.data})


def blocked(offset: int, decision: Decision) -> Event:
    """Return the event of a decision BLOCK.

    All records under one id have the same event id. So a receiver takes a decision of which a
    retry has left a copy in the log for one.
    """
    data = {
        "transaction_id": decision.transaction_id,
        "score": decision.score,
        "reasons": decision.reasons,
        "model_version": decision.model_version,
        "policy_version": decision.policy_version,
        "hits": decision.hits,
        "decided_at": decision.decided_at,
        "transaction": decision.transaction,
    }
    id_ = quote(decision.transaction_id, safe="").replace(".", "%2E")
    return Event(offset, "decision.blocked", f"decision/{id_}", decision.decided_at, data)


class Chronicle:
    """Tells the changes of policies and caps in the control log, which it takes from the beginning.

    A record that changes nothing is no event. Lists are left out.
    """

    def __init__(self) -> None:
        self._state = ControlState()

    @property
    def last(self) -> Candidate:
        """The last policy of the chain; raises `IndexError` if there is none."""
        return self._state.chain.members[-1]

    def take(self, record: ControlRecord) -> Event | None:
        """Take the next record in; return the event if it changes a policy or a cap."""
        if isinstance(record.key, ListKey):
            return None  # the entries would take memory for nothing
        change = self._state.apply(record)
        if change is Change.POLICY:
            return _policy(record, self.last)
        if change is Change.CAPS and isinstance(record.key, CapKey):
            number = self._state.chain.candidates[record.key.policy].number
            return _cap(record, record.key, cast(Capped, record.value), number)
        return None


def _policy(record: ControlRecord, candidate: Candidate) -> Event:
    approved = candidate.approved
    data = {
        "number": candidate.number,
        "previous": candidate.number - 1 or None,
        "author": candidate.proposed.author,
        "note": candidate.proposed.note,
        "approver": approved.author if approved else None,
    }
    return Event(record.offset, "policy.changed", f"policy/{candidate.id}", _at(record), data)


def _cap(record: ControlRecord, key: CapKey, value: Capped, number: int) -> Event:
    data = {
        "rule": key.rule,
        "share": value.share,
        "policy": number,
        "author": value.author,
        "note": value.note,
    }
    id_ = "/".join(["cap", *filter(None, key), str(record.offset)])
    return Event(record.offset, "cap.begun" if value.on else "cap.ended", id_, _at(record), data)


def _at(record: ControlRecord) -> datetime:
    return _EPOCH + timedelta(milliseconds=record.written_at)
