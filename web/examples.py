"""Examples for the OpenAPI and AsyncAPI documents; the tests send and check the same ones."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from models.schema.schema import PAYSIM

TRANSACTION: Final[dict[str, Any]] = {
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
"""It is flagged upstream, so that its decision is BLOCK whatever the model scores."""

PENDING: Final[dict[str, Any]] = {
    "transaction_id": "demo-1",
    "status": "PENDING",
    "status_url": "/transaction/demo-1/status",
}

DECISION: Final[dict[str, Any]] = {
    "transaction_id": "demo-1",
    "decision": "BLOCK",
    "score": 0.98,
    "reasons": [msgspec.to_builtins(PAYSIM.flagged_upstream)],
    "model_version": "gradient_boosting-0123456789ab",
    "policy_version": "flag-0.5-block-0.8",
    "decided_at": "2026-03-04T05:06:07.890123Z",
    "topic": "transactions",
    "partition": 0,
    "offset": 42,
    "transaction": TRANSACTION,
}
