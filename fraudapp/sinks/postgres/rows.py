"""Conversion between decisions and rows of Postgres, in the order of the table's columns.

PaySim's transactions are in columns of their own. Those of any other schema are in the JSONB column
`transaction`; the columns of PaySim's fields with a role have the fields with that role, so that
reports and queries find amounts, parties and labels at the same place for every schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

import msgspec

from models.records import MAX_AMOUNT, Decision, Outcome, Reason, Shadow, Transaction
from models.schema.definition import Role
from models.schema.schema import PAYSIM, Schema

Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode
_PAYSIM: Final = {
    "step": "step",
    "type": "type",
    "amount": "amount",
    "name_orig": "nameOrig",
    "oldbalance_org": "oldbalanceOrg",
    "newbalance_orig": "newbalanceOrig",
    "name_dest": "nameDest",
    "oldbalance_dest": "oldbalanceDest",
    "newbalance_dest": "newbalanceDest",
    "is_fraud": "isFraud",
    "is_flagged_fraud": "isFlaggedFraud",
}
"""PaySim's field of each column."""
_paysim: Final = attrgetter(*_PAYSIM.values())
_ROLES: Final[Mapping[str, Role]] = {
    "type": "kind",
    "amount": "amount",
    "name_orig": "sender",
    "name_dest": "receiver",
    "is_fraud": "label",
    "is_flagged_fraud": "upstream_flag",
}
"""The role whose field is in a column, for other schemas."""


class Rows:
    """The rows of decisions on transactions of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # A schema file may give PaySim's names to other fields, which the columns would not take.
        self._has_columns = schema.version == PAYSIM.version
        self._roles = [
            (schema.of_role(_ROLES[name]), _FITTING[_ROLES[name]]) if name in _ROLES else None
            for name in _PAYSIM
        ]

    def to_rows(self, decisions: Sequence[Decision]) -> list[Row]:
        """Return for each decision the values of `DecisionRow`'s columns, in their order."""
        transactions = [each.transaction for each in decisions]
        of_transactions = self._columns if self._has_columns else self._documents
        return [
            (
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
                *of_transaction,
                decision.schema_version or None,
                _encode(decision.hits).decode() if decision.hits else None,
                _encode(decision.profile).decode() if decision.profile else None,
                decision.profile_version or None,
                decision.profile_lag or None,
                decision.explored or None,
                _encode(decision.shadow).decode() if decision.shadow else None,
            )
            for decision, of_transaction in zip(
                decisions, of_transactions(transactions), strict=True
            )
        ]

    def _columns(self, transactions: Sequence[Transaction]) -> Iterable[Row]:
        own = self._schema.transaction
        for each in transactions:
            if isinstance(each, own):
                yield (*_paysim(each), None)
            else:
                yield from self._documents([each])

    def _documents(self, transactions: Sequence[Transaction]) -> Iterable[Row]:
        # Under an earlier schema, a field of this name may have had another type.
        columns = [
            [*role[1](map(role[0], transactions))] if role else repeat(None) for role in self._roles
        ]
        return zip(*columns, [_encode(each).decode() for each in transactions], strict=False)

    def from_row(self, row: Mapping[str, Any]) -> Decision:
        """Return the decision that `to_rows`, of this or another schema, has turned into this row.

        Raises `msgspec.ValidationError` if none has.
        """
        fields = row["transaction"]
        if fields is None:
            fields = {"transaction_id": row["transaction_id"]}
            fields |= {field: row[column] for column, field in _PAYSIM.items()}
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
            transaction=self._schema.stored(fields, row["schema_version"] or ""),
            schema_version=row["schema_version"] or "",
            hits=msgspec.convert(row["hits"] or [], list[str]),
            profile=msgspec.convert(row["profile"] or {}, dict[str, float]),
            profile_version=row["profile_version"] or "",
            shadow=msgspec.convert(row["shadow"] or {}, dict[str, Shadow]),
            # What is given is encoded, even if it is equal to the default.
            **{name: row[name] for name in ("profile_lag", "explored") if row[name]},
        )


def _texts(values: Iterable[Any]) -> Iterable[str | None]:
    return (each if each.__class__ is str else None for each in values)


def _amounts(values: Iterable[Any]) -> Iterable[float | None]:
    return (
        float(each)
        if each.__class__ in (float, int) and -MAX_AMOUNT <= each <= MAX_AMOUNT
        else None
        for each in values
    )


def _flags(values: Iterable[Any]) -> Iterable[int | None]:
    return (int(each) if isinstance(each, int) and each in (0, 1) else None for each in values)


_FITTING: Final[Mapping[Role, Callable[[Iterable[Any]], Iterable[Any]]]] = {
    "kind": _texts,
    "amount": _amounts,
    "sender": _texts,
    "receiver": _texts,
    "label": _flags,
    "upstream_flag": _flags,
}
"""What a column takes of the values of a role; anything else would keep the row out."""


def utc(moment: datetime) -> datetime:
    """Return a moment that asyncpg has read as it was before it was written."""
    # The ends of the calendar are infinity in Postgres, and come back without a time zone.
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
