"""Strict parsing of transactions from JSON: nothing is coerced unless the schema says so.

The fast path is one `msgspec` call on the raw bytes. Only an input that it refuses is parsed again,
field by field, to report every error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from models import characters
from models.parsing import (
    UNREADABLE,
    InvalidTransaction,
    Unread,
    json_type_of,
    problem_of,
    shortened,
    unread_message,
    with_value,
)
from models.records import FieldError, Transaction
from models.schema import transactions
from models.schema.coercion import coerced
from models.schema.definition import Definition
from models.schema.explaining import explanation
from models.schema.fields import default, hint, texts
from models.schema.paths import Tree


class Parser:
    """Makes transactions of a schema, and says what is wrong with what is none."""

    def __init__(self, definition: Definition, tree: Tree, transaction: type[Transaction]) -> None:
        """`tree` says where the fields lie in a message."""
        self._fields = definition.fields
        self._transaction = transaction
        kind: Any = transaction
        self._collect: Callable[[Any], Transaction] | None = None
        if not transactions.is_flat(definition):
            kind, self._collect = transactions.nested(definition, tree, transaction)
        self._decode = msgspec.json.Decoder(kind).decode
        self._coerced = {
            name: coerced(each) for name, each in definition.fields.items() if each.coerce
        }
        self._texts = texts(definition)
        self.texts: Callable[[Transaction], str] = _joined(self._texts)
        """Returns all texts of a transaction in one, but for those that the schema lists."""
        self._problems = explanation(definition, tree)
        self._paths = {name: each.path or name for name, each in definition.fields.items()}

    def parse(self, raw: bytes | None) -> Transaction:
        """Parse the value of a record; raises `InvalidTransaction` unless it is valid.

        `None` stands for a Kafka record without a value.
        """
        if isinstance(raw, Unread):
            raise InvalidTransaction([FieldError("", unread_message(raw))])
        if not raw:
            raise InvalidTransaction([FieldError("", "the message is empty")])
        try:
            made = self._decode(raw)
            if self._collect is not None:
                made = self._collect(made)
        except UNREADABLE as exc:
            raise InvalidTransaction(self._explain(raw, exc)) from exc
        # As `characters.allowed` begins: this is nearly always so.
        return made if self.texts(made).isprintable() else self.checked(made)

    def from_mapping(self, fields: Any) -> Transaction:
        """Check the fields of a row of a file, by their names, as `parse` checks raw bytes."""
        try:
            given = fields
            if self._coerced and isinstance(fields, dict):
                given = {
                    name: self._coerced[name](value) if name in self._coerced else value
                    for name, value in fields.items()
                }
            made: Transaction = msgspec.convert(given, self._transaction)
        except msgspec.ValidationError as exc:
            raise InvalidTransaction(self._explain_mapping(fields, exc)) from exc
        return self.checked(made)

    def checked(self, transaction: Transaction) -> Transaction:
        """Check the characters of a decoded transaction; raises `InvalidTransaction`."""
        # The types of msgspec cannot forbid single characters.
        if characters.allowed(self.texts(transaction)):
            return transaction
        raise InvalidTransaction(
            FieldError(self._paths[name], problem)
            for name in self._texts
            if (problem := characters.problem(getattr(transaction, name) or ""))
        )

    def _converted(self, name: str, value: Any) -> Any:
        if name in self._coerced:
            return self._coerced[name](value)
        return msgspec.convert(value, hint(self._fields[name]))

    def _explain(self, raw: bytes, failure: Exception) -> list[FieldError]:
        problems = [*self._problems(raw)]
        return problems or [FieldError("", shortened(str(failure)))]

    def _explain_mapping(self, fields: Any, failure: Exception) -> list[FieldError]:
        if not isinstance(fields, dict):
            return [FieldError("", f"must be a JSON object, got {json_type_of(fields)}")]
        problems = []
        for name, field in self._fields.items():
            if name not in fields:
                if not default(field):
                    problems.append(FieldError(name, "is missing"))
            elif problem := problem_of(lambda: self._converted(name, fields[name])):  # noqa: B023
                problems.append(FieldError(name, with_value(problem, repr(fields[name]))))
        return problems or [FieldError("", shortened(str(failure)))]


def _joined(names: Sequence[str]) -> Callable[[Transaction], str]:
    parts = "".join(f"{{t.{name} or ''}}" for name in names)
    made: Callable[[Transaction], str] = eval(f'lambda t: f"{parts}"')  # noqa: S307
    return made
