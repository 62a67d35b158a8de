"""Conversion between decisions and rows of Postgres, in the order of the table's columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec

from models.records import Decision, Outcome, Reason
from models.schema.schema import PAYSIM

_encode = msgspec.json.Encoder().encode


def to_row(decision: Decision) -> tuple[Any, ...]:
    """Return the values of `DecisionRow`'s columns, in their order."""
    transaction = decision.transaction
    return (
        decision.transaction_id,
        decision.decision,
        decision.score,
        _encode(decision.reasons).decode() if decision.reasons else "[]",
        decision.model_version,
        decision.policy_version,
        decision.decided_at,
        decision.topic,
        decision.partition,
        decision.offset,
        transaction.step,
        transaction.type,
        transaction.amount,
        transaction.nameOrig,
        transaction.oldbalanceOrg,
        transaction.newbalanceOrig,
        transaction.nameDest,
        transaction.oldbalanceDest,
        transaction.newbalanceDest,
        transaction.isFraud,
        transaction.isFlaggedFraud,
    )


def from_row(row: Mapping[str, Any]) -> Decision:
    """Return the decision that `to_row` has turned into this row."""
    return Decision(
        transaction_id=row["transaction_id"],
        decision=Outcome(row["decision"]),
        score=row["score"],
        reasons=msgspec.convert(row["reasons"], list[Reason]),
        model_version=row["model_version"],
        policy_version=row["policy_version"],
        decided_at=utc(row["decided_at"]),
        topic=row["input_topic"],
        partition=row["input_partition"],
        offset=row["input_offset"],
        transaction=PAYSIM.transaction(
            transaction_id=row["transaction_id"],
            step=row["step"],
            type=row["type"],
            amount=row["amount"],
            nameOrig=row["name_orig"],
            oldbalanceOrg=row["oldbalance_org"],
            newbalanceOrig=row["newbalance_orig"],
            nameDest=row["name_dest"],
            oldbalanceDest=row["oldbalance_dest"],
            newbalanceDest=row["newbalance_dest"],
            isFraud=row["is_fraud"],
            isFlaggedFraud=row["is_flagged_fraud"],
        ),
    )


def utc(moment: datetime) -> datetime:
    """Return a moment that asyncpg has read as it was before it was written."""
    # The ends of the calendar are infinity in Postgres, and come back without a time zone.
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
