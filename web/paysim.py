"""What page and documents say of PaySim, in more than the words of its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LABELS: Final = {
    "transaction_id": "Id",
    "type": "Type",
    "amount": "Amount",
    "step": "Hour",
    "nameOrig": "Sender",
    "oldbalanceOrg": "Sender before",
    "newbalanceOrig": "Sender after",
    "nameDest": "Receiver",
    "oldbalanceDest": "Receiver before",
    "newbalanceDest": "Receiver after",
    "isFlaggedFraud": "Flagged by the sender",
}
"""The fields in the order of the form, by what they are called there."""

MESSAGE: Final[Mapping[str, Any]] = {
    "transaction_id": "demo-1",
    "step": 1,
    "type": "TRANSFER",
    "amount": 250000.0,
    "nameOrig": "C1231006815",
    "oldbalanceOrg": 250000.0,
    "newbalanceOrig": 0.0,
    "nameDest": "C1979787155",
    "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
    "isFraud": 0,
    "isFlaggedFraud": 1,
}
"""The example of the documents. It is flagged upstream, so that its decision is BLOCK whatever the
model scores."""

_COMMON: Final = {
    "step": 1,
    "nameOrig": "C1231006815",
    "nameDest": "C553264065",
    "oldbalanceDest": 0,
    "newbalanceDest": 0,
    "isFlaggedFraud": 0,
}
PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Payment": {
        **_COMMON,
        "type": "PAYMENT",
        "amount": 9839.64,
        "oldbalanceOrg": 170136,
        "newbalanceOrig": 160296.36,
        "nameDest": "M1979787155",
    },
    "Drained account": {
        **_COMMON,
        "type": "TRANSFER",
        "amount": 850000,
        "oldbalanceOrg": 850000,
        "newbalanceOrig": 0,
    },
    "Flagged": {
        **_COMMON,
        "type": "TRANSFER",
        "amount": 250000,
        "oldbalanceOrg": 1000000,
        "newbalanceOrig": 750000,
        "isFlaggedFraud": 1,
    },
}
"""What the buttons of the form fill in."""
