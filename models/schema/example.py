"""Examples of a schema's messages: of its preset, or made from nothing but its definition."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any, Final

from models.records import MAX_TEXT_CHARACTERS, Transaction
from models.schema import presets
from models.schema.definition import Definition, Field
from models.schema.fields import bounds, default
from models.schema.schema import Schema, preset

MOMENT: Final = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
"""The time in all times."""
_NUMBERS: Final = {"amount": 250.0, "number": 1.0}
"""What numbers are, where the field has no bounds that forbid it."""


def messages(schema: Schema) -> list[bytes]:
    """Return valid messages: those of the preset of this name, if the fields are its, else one."""
    if schema.name in presets.names() and schema.has_fields_of(preset(schema.name)):
        return presets.examples(schema.name)
    return [schema.encode(example(schema))]


def example(schema: Schema) -> Transaction:
    """Return a transaction that has all fields, those too that a message may lack.

    It is valid: its message, as the schema encodes it, is read as this transaction. Where the
    schema has such a field, it is flagged upstream, so that its decision is BLOCK whatever the
    model scores.
    """
    definition = schema.definition
    made: Transaction = schema.transaction(
        **{name: _value(name, field, definition) for name, field in definition.fields.items()}
    )
    return made


def _value(name: str, field: Field, definition: Definition) -> Any:
    if field.type == "flag":
        return _flag(field)
    given = default(field)
    if given and given[0] is not None:
        return given[0]
    if field.type in ("text", "category"):
        return _text(name, field, definition)
    return _time(field) if field.type == "time" else _number(field)


def _flag(field: Field) -> bool | int:
    is_set = field.role == "upstream_flag" or bool(field.default)
    return int(is_set) if field.form == "0/1" else is_set


def _text(name: str, field: Field, definition: Definition) -> str:
    if field.values is not None:
        return field.values[0]
    text = "demo-1" if field.role == "id" else name
    if any(each.currency == name for each in definition.fields.values()):
        text = "EUR"
    return text[: field.max_length or MAX_TEXT_CHARACTERS]


def _time(field: Field) -> datetime | float:
    if field.format == "iso8601":
        return MOMENT
    seconds = MOMENT.timestamp()
    return {"epoch": seconds, "epoch_ms": int(1_000 * seconds)}.get(field.format or "", 1)


def _number(field: Field) -> float:
    least, most = bounds(field)
    number = min(max(_NUMBERS[field.type], least), most)
    return number if not field.whole else min(max(math.ceil(number), math.ceil(least)), int(most))
