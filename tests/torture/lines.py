"""Decisions as text in one form, wherever they were read, so that whole ones can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any, Final

_TRANSACTION: Final = {
    "step": "step",
    "type": "type",
    "amount": "amount",
    "nameOrig": "name_orig",
    "oldbalanceOrg": "oldbalance_org",
    "newbalanceOrig": "newbalance_orig",
    "nameDest": "name_dest",
    "oldbalanceDest": "oldbalance_dest",
    "newbalanceDest": "newbalance_dest",
    "isFraud": "is_fraud",
    "isFlaggedFraud": "is_flagged_fraud",
}
"""Fields of a transaction, and their columns."""


def line(decision: Mapping[str, Any]) -> str:
    """A decision as text; 1, 1.0 and true are equal in Python, and not here."""
    moment = datetime.fromisoformat(decision["decided_at"].replace("Z", "+00:00"))
    utc = moment.astimezone(timezone.utc).isoformat()
    return json.dumps({**decision, "decided_at": utc}, sort_keys=True)


def of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The decision that a row of the history holds."""
    same = ("transaction_id", "decision", "score", "model_version", "policy_version")
    texts = {name: json.loads(row[name]) for name in ("hits", "profile", "shadow") if row[name]}
    rest = {name: row[name] for name in ("profile_version", "profile_lag", "explored") if row[name]}
    place = {name: row[f"input_{name}"] for name in ("topic", "partition", "offset")}
    transaction = {name: row[column] for name, column in _TRANSACTION.items()}
    return {
        **{name: row[name] for name in same},
        **place,
        "reasons": json.loads(row["reasons"]),
        "decided_at": row["decided_at"].isoformat(),
        "transaction": {"transaction_id": row["transaction_id"], **transaction},
        **texts,
        **rest,
    }


def day_of(text: str) -> date:
    """The UTC day on which a line was decided, by its worker's clock."""
    return datetime.fromisoformat(json.loads(text)["decided_at"]).date()


def differing(here: str, there: str) -> str:
    """Names of the fields in which two lines differ."""
    one, other = json.loads(here), json.loads(there)
    names = sorted({*one, *other})
    return ", ".join(name for name in names if one.get(name) != other.get(name)) or "its form"
