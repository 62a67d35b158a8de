"""Examples for the documents and the page; the tests send and check the same ones."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import json

from models.records import Reason, Transaction
from models.schema.example import messages
from models.schema.schema import PAYSIM, Schema
from web import paysim
from web.views import status_url


class Example(NamedTuple):
    """A valid message, and the transaction that it is read as."""

    message: Any
    transaction: Transaction


class Documented(NamedTuple):
    """The examples of the documents, all about one transaction."""

    message: Any
    pending: dict[str, Any]
    decision: dict[str, Any]


@cache
def documented(schema: Schema) -> Documented:
    """Return the examples of a schema's documents."""
    is_paysim = schema.has_fields_of(PAYSIM)
    first = Example(paysim.MESSAGE, _paysim()) if is_paysim else shown(schema)[0]
    id_ = first.transaction.transaction_id
    pending = {"transaction_id": id_, "status": "PENDING", "status_url": status_url(id_)}
    return Documented(first.message, pending, _decision(schema, first.transaction))


def shown(schema: Schema) -> list[Example]:
    """Return examples of a schema: those of its preset if the fields are the same, else one."""
    return [Example(json.decode(raw), schema.parser.parse(raw)) for raw in messages(schema)]


def _paysim() -> Transaction:
    return PAYSIM.parser.from_mapping(paysim.MESSAGE)


_SCORE: Final = 0.98
"""Above any usual threshold."""


def _decision(schema: Schema, transaction: Transaction) -> dict[str, Any]:
    return {
        "transaction_id": transaction.transaction_id,
        "decision": "BLOCK",
        "score": _SCORE,
        "reasons": msgspec.to_builtins(_reasons(schema, transaction)),
        "model_version": "gradient_boosting-0123456789ab",
        "policy_version": "flag-0.5-block-0.8",
        "decided_at": "2026-03-04T05:06:07.890123Z",
        "topic": "transactions",
        "partition": 0,
        "offset": 42,
        "transaction": msgspec.to_builtins(transaction),
        **({"schema_version": schema.version} if schema.version else {}),
    }


def _reasons(schema: Schema, transaction: Transaction) -> list[Reason]:
    if schema.is_flagged(transaction):
        return [schema.flagged_upstream]
    (facts,) = schema.with_profiles([transaction], [{}])
    row = schema.features.matrix([facts])[0].tolist()
    groups = len(schema.definition.reasons) or len(row)
    contributions = [round(2 / place, 2) for place in range(1, groups + 1)]
    return schema.reasons.strongest(facts, row, contributions)
