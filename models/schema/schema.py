"""A schema: the type of its transactions, its parser, its features and its reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from models.profiles.remembering import LAYOUT, Remembering
from models.profiles.values import parse
from models.records import Decision, Reason, Transaction
from models.schema import paths, presets
from models.schema.definition import Definition, Role
from models.schema.features import Features
from models.schema.fields import unit
from models.schema.opening import content_of, shown
from models.schema.parser import Parser
from models.schema.profile_problems import resolved
from models.schema.reading import SchemaError, read
from models.schema.reasons import Reasons
from models.schema.stored import other_transaction
from models.schema.transactions import facts_type, is_flat, message, transaction_type

_encode: Final = msgspec.json.Encoder().encode
_decode_other: Final[Callable[[bytes | str], Any]] = msgspec.json.Decoder(
    Decision[dict[str, Any]]  # type: ignore[type-var]
).decode
_DESCRIBING: Final = ("description", "columns", "path")
"""Options of a field that change no feature."""
FLAGGED_UPSTREAM: Final = "The sender's own rule flagged this transaction."
_READING: Final = (*_DESCRIBING, "coerce", "default", "currency")
"""Options of a field that say how it is read, and change nothing in what is kept of it."""
_UNNAMED: Final = "paysim-55b2713b7327"
"""The version of the schema whose decisions name none: it was there before others were."""
_NAMED: Final = {"paysim-7e27310e5dba": "before-the-move/3"}
"""Contracts by their hash that had a name before there were schemas."""


class Schema:
    """All that follows from a definition; immutable."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.name = definition.name
        self.features = Features(definition)
        """Without what training learns."""
        self.contract = _contract(definition, self.features.fields)
        """Names the features and the fields that they are made of: a hash of both. A model that was
        trained under another contract is refused."""
        self.version = _version(definition)
        """Names the fields of a transaction as decisions keep them; empty for PaySim's."""
        self.transaction: Any = transaction_type(definition)
        """The struct of a transaction, a subclass of `Transaction`."""
        self.decision: Any = Decision[self.transaction]  # type: ignore[name-defined]
        """The type of a decision on one, for decoding."""
        self._decode: Callable[[bytes | str], Any] = msgspec.json.Decoder(self.decision).decode
        self._tree = paths.tree(paths.places(definition))
        self._is_flat = is_flat(definition)
        self.parser = Parser(definition, self._tree, self.transaction)
        self.reasons = Reasons(definition)
        self.flag = self.of_role("upstream_flag")
        """Returns what the sender's own rule says of a transaction: true if it has flagged it."""
        self.kind, self.amount = self.of_role("kind"), self.of_role("amount")
        self.currency_field = definition.currency()
        """The field that has the currency of the amount; None if the amounts have none."""
        self.currency = getter(self.currency_field)
        self.sender, self.receiver = self.of_role("sender"), self.of_role("receiver")
        self.remembering, self.profile_version = _remembered(definition)
        """What is remembered of accounts; None if no value of profiles is declared. The version
        names the values, by a hash; empty without any."""
        self.facts_type: Any = facts_type(definition) if self.remembering else self.transaction
        """The type of a transaction together with the values of profiles."""
        self.flagged_upstream = Reason(
            "FLAGGED_UPSTREAM", definition.upstream_flag or FLAGGED_UPSTREAM, 0.0
        )
        """The reason of a transaction that its sender's own rule has flagged."""

    def __reduce__(self) -> tuple[Callable[[bytes], Schema], tuple[bytes]]:
        """Pickle the definition, as JSON, since that tells what is given from what is a default."""
        return _unpickled, (_encode(self.definition),)

    def __str__(self) -> str:
        return self.name

    def encode(self, transaction: Transaction) -> bytes:
        """Return a transaction as a message of its topic, which `parser` reads."""
        return _encode(transaction if self._is_flat else message(self._tree, transaction))

    def decode(self, encoded: bytes | str) -> Decision:
        """Return the decision that JSON of the log holds; raises `msgspec.DecodeError`.

        If it was made under another schema, its transaction is an `OtherTransaction`.
        """
        try:
            found: Decision = self._decode(encoded)
            if found.schema_version == self.version:
                return found
        except msgspec.ValidationError:
            pass  # of this schema, or another
        other = _decode_other(encoded)
        transaction = self._other(other.transaction, other.schema_version)
        made: Decision = msgspec.structs.replace(other, transaction=transaction)
        return made

    def with_profiles(
        self, transactions: Sequence[Transaction], known: Sequence[Mapping[str, float]]
    ) -> Sequence[Any]:
        """Return transactions as features, rules and reasons see them: with values of profiles.

        `known` has the values of each by name; others are unknown. Transactions of other schemas
        stay as they are.
        """
        if self.remembering is None:
            return transactions
        facts, own, row = self.facts_type, self.transaction, self.remembering.row
        return [
            facts(*astuple(each), *row(values)) if each.__class__ is own else each
            for each, values in zip(transactions, known, strict=True)
        ]

    def facts(self, decisions: Sequence[Decision]) -> Sequence[Any]:
        """Return the transactions of decisions as these were made: see `with_profiles`."""
        transactions = [each.transaction for each in decisions]
        return self.with_profiles(transactions, [each.profile for each in decisions])

    def stored(self, fields: Mapping[str, Any], version: str) -> Transaction:
        """Return the transaction that has these fields, by their names and as JSON has them.

        `version` is that of its schema. Raises `msgspec.ValidationError` if it is none.
        """
        if version == self.version:
            found: Transaction = msgspec.convert(fields, self.transaction)
            return found
        return self._other(fields, version)

    def _other(self, fields: Mapping[str, Any], version: str) -> Transaction:
        if version == self.version:
            raise msgspec.ValidationError("the transaction does not fit the schema")
        if version == PAYSIM.version:
            msgspec.convert(fields, PAYSIM.transaction)
        return other_transaction(fields)

    def of_role(self, role: Role) -> Callable[[Transaction], Any]:
        """Return a function to the value of the field with a role; to None if there is none."""
        return getter(self.definition.role(role))

    def has_fields_of(self, other: Schema) -> bool:
        """Whether both have the same fields, so that messages of one are those of the other."""
        return self.definition.fields == other.definition.fields

    def is_flagged(self, transaction: Transaction) -> bool:
        """Whether the sender's own rule has flagged a transaction."""
        return bool(self.flag(transaction))


def load(path: Path) -> Schema:
    """Return the schema of a file; raises `SchemaError`."""
    return Schema(read(content_of(path), shown(path)))


@cache
def preset(name: str) -> Schema:
    """Return a schema that comes with the program; raises `SchemaError`."""
    if name not in (known := presets.names()):
        raise SchemaError(name, [f"is no preset; there are {', '.join(known)}"])
    return Schema(read(presets.content(name), name))


def getter(field: str | None) -> Callable[[Transaction], Any]:
    """Return a function to the value of a field of transactions; to None without a field."""
    return attrgetter(field) if field else lambda transaction: None


def named(name_or_file: str | Schema) -> Schema:
    """Return a preset by its name, or the schema of a file; raises `SchemaError`."""
    if isinstance(name_or_file, Schema):
        return name_or_file
    if name_or_file in presets.names():
        return preset(name_or_file)
    return load(Path(name_or_file))


def _unpickled(definition: bytes) -> Schema:
    return Schema(msgspec.json.decode(definition, type=Definition))


def _contract(definition: Definition, used: Sequence[str]) -> str:
    fields = _without(definition, (each for each in used if each in definition.fields), _DESCRIBING)
    content: dict[str, Any] = {"fields": fields, "features": list(definition.features.items())}
    if values := {name: definition.profile[name] for name in used if name in definition.profile}:
        content["profile"] = values
    name = _hashed(definition, content)
    return _NAMED.get(name, name)


def _remembered(definition: Definition) -> tuple[Remembering | None, str]:
    """Return what the values of profiles come to, and the version that names them."""
    if not definition.profile:
        return None, ""
    amount = definition.role("amount")
    values = {name: resolved(parse(text), definition) for name, text in definition.profile.items()}
    smallest = unit(definition.fields[amount]) if amount else 1.0
    version = _hashed(definition, [LAYOUT, list(values.items()), amount, smallest])
    return Remembering(values, amount, smallest), version


def _version(definition: Definition) -> str:
    name = _hashed(definition, _without(definition, definition.fields, _READING))
    return "" if name == _UNNAMED else name


def _without(
    definition: Definition, names: Iterable[str], options: Iterable[str]
) -> dict[str, dict[str, Any]]:
    fields = {name: msgspec.to_builtins(definition.fields[name]) for name in names}
    for each in fields.values():
        for option in options:
            each.pop(option, None)
    return fields


def _hashed(definition: Definition, content: Any) -> str:
    encoded = msgspec.json.encode(content, order="sorted")
    return f"{definition.name}-{hashlib.sha256(encoded).hexdigest()[:12]}"


PAYSIM: Final = preset("paysim")
"""The schema without a file of one's own."""
