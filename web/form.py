"""What the page has to know of the schema: the fields of a transaction, and what to fill in."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

import msgspec
from faust import web
from msgspec import Struct

from models.records import MAX_TEXT_CHARACTERS
from models.schema.definition import Field, FlagForm, Role, TimeFormat, Type
from models.schema.fields import bounds, default, is_whole
from models.schema.schema import PAYSIM, Schema
from web import paysim
from web.examples import shown
from web.views import View, route

_NOT_ASKED: Final = ("label", "weight")
"""Roles of fields that nobody knows before the decision, or that only training needs."""
_MAX_DIGITS: Final = 12


class FormField(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A field of a transaction, as the page asks for it and shows it."""

    name: str
    label: str
    path: str
    """Where it lies in a message: keys separated by dots; `[0]` after a key is the only item."""
    type: Type
    role: Role | None = None
    description: str | None = None
    asked: bool = True
    """Whether the form has it."""
    optional: bool = False
    """Whether a message may lack it."""
    nullable: bool = False
    """Whether it may be unknown."""
    values: list[str] | None = None
    max_length: int | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    """The smallest difference of two numbers; None for any."""
    format: TimeFormat | None = None
    form: FlagForm | None = None
    currency: str | None = None
    """The field with the currency of an amount."""
    digits: int | None = None
    """Of an amount: how many there are after the point."""


class FormPreset(Struct, frozen=True):
    """A button that fills in the form."""

    label: str
    values: dict[str, Any]
    """By field; the others are left empty."""


class Form(Struct, frozen=True):
    """The fields of a transaction, in the order in which they are asked for."""

    fields: list[FormField]
    presets: list[FormPreset]


@route("/stats/form", name="stats-form")
class FormView(View):
    """The form as JSON. The page is open to all, and a schema is not: it needs a key."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer it."""
        return self.answer(form(self.context.settings.transaction_schema))


@cache
def form(schema: Schema) -> Form:
    """Return the form of a schema."""
    if schema.has_fields_of(PAYSIM):
        return Form(_fields(schema, paysim.LABELS), _presets(paysim.PRESETS))
    first, *others = (msgspec.to_builtins(each.transaction) for each in shown(schema))
    given = {"Example": first} | ({"Another": _another(schema, others)} if others else {})
    return Form(_fields(schema, {}), _presets(given))


def _another(schema: Schema, others: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an example of fraud; the next one if none is said to be."""
    label = schema.definition.role("label")
    return next((each for each in others if label and each[label]), others[0])


def _presets(given: Mapping[str, Mapping[str, Any]]) -> list[FormPreset]:
    return [FormPreset(label, dict(values)) for label, values in given.items()]


def _fields(schema: Schema, labels: Mapping[str, str]) -> list[FormField]:
    fields = schema.definition.fields
    order = dict.fromkeys([*labels, *fields])
    return [_field(name, labels.get(name, name), fields[name]) for name in order]


def _field(name: str, label: str, field: Field) -> FormField:
    may_be_missing = bool(default(field))
    is_text = field.type in ("text", "category") and field.values is None
    return FormField(
        name=name,
        label=label,
        path=field.path or name,
        type=field.type,
        role=field.role,
        description=field.description,
        asked=not (field.role in _NOT_ASKED and may_be_missing),
        optional=may_be_missing,
        nullable=field.optional,
        values=None if field.values is None else list(field.values),
        max_length=(field.max_length or MAX_TEXT_CHARACTERS) if is_text else None,
        format=field.format,
        form=field.form,
        currency=field.currency,
        digits=_digits(field.unit) if field.type == "amount" else None,
        **_numbers(field),
    )


def _numbers(field: Field) -> dict[str, Any]:
    if field.type not in ("number", "amount", "time") or field.format == "iso8601":
        return {}
    least, most = bounds(field)
    return {"min": least, "max": most, "step": 1.0 if is_whole(field) else field.unit}


def _digits(unit: float | None) -> int:
    exponent = Decimal(str(unit or 0.01)).normalize().as_tuple().exponent
    return min(max(-int(exponent), 0), _MAX_DIGITS)
