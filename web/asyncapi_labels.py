"""The topics of labels in the AsyncAPI document."""

from __future__ import annotations

from typing import Any, Final

from models.labels.records import Label, Labelled
from models.schema.schema import Schema

_SAID: Final[dict[str, Any]] = {"label": 1, "at": "2026-04-01T08:00:00Z", "by": "card-network"}


def types(schema: Schema) -> tuple[Any, ...]:
    """Return the types of the records."""
    return Label, Labelled[schema.transaction]  # type: ignore[name-defined]


def messages(decision: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an example of each record, by its name; both are about a decision."""
    return {
        "Label": {
            "transaction_id": decision["transaction_id"],
            "source": "chargeback",
            **_SAID,
        },
        "Labelled": {
            "version": 7,
            "label": 1,
            "source": "chargeback",
            "labels": {"chargeback": {**_SAID, "offset": 7}},
            "decision": decision,
        },
    }
