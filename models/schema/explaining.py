"""Says everything that is wrong with a message, field by field, after decoding has refused it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from models.parsing import UNREADABLE, json_type, problem_of, with_value
from models.records import FieldError
from models.schema.coercion import coerced, loose_hint
from models.schema.definition import Definition, Field
from models.schema.fields import default, hint
from models.schema.paths import Step, Tree, names

Problems = Callable[[bytes], Iterator[FieldError]]
"""Yields what is wrong with a JSON value."""

_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def explanation(definition: Definition, tree: Tree) -> Problems:
    """Return what says everything that is wrong with a message, in the order of the schema."""
    return _Object(definition.fields, tree, "").problems


class _Object:
    """An object at some place of a message, of which the schema names some keys.

    No Python objects are made of the values of other keys: that would block the event loop if there
    were many.
    """

    def __init__(self, fields: Any, tree: Tree, place: str) -> None:
        self._place = place
        self._values = [
            _Value(fields, step, below, f"{place}.{step}".lstrip("."))
            for step, below in tree.items()
        ]
        renamed = {f"f{number}": step.key for number, step in enumerate(tree)}
        kinds = [(name, msgspec.Raw, msgspec.field(default=msgspec.UNSET)) for name in renamed]
        self._decode = msgspec.json.Decoder(
            msgspec.defstruct("Fields", kinds, rename=renamed)
        ).decode

    def problems(self, raw: bytes) -> Iterator[FieldError]:
        try:
            if (kind := json_type(raw)) != "an object":
                what = "an object" if self._place else "a JSON object"
                yield FieldError(self._place, f"must be {what}, got {kind}")
                return
            found = msgspec.structs.astuple(self._decode(raw))
        except UNREADABLE as exc:
            yield FieldError(self._place, f"not valid JSON: {exc}")
            return
        for each, value in zip(self._values, found, strict=True):
            yield from each.problems(value)


class _Value:
    """The value of a key: a field, or an object that has some."""

    def __init__(self, fields: Any, step: Step, below: Tree | str, place: str) -> None:
        self._place = place
        self._only_item = step.only_item
        self._required = [
            fields[name].path or name for name in names(below) if not default(fields[name])
        ]
        # Of an object or array; a field says itself whether it may be null.
        self._may_be_null = not self._required and (step.only_item or not isinstance(below, str))
        self._check = (
            _field(fields[below], place)
            if isinstance(below, str)
            else _Object(fields, below, place).problems
        )

    def problems(self, value: Any) -> Iterator[FieldError]:
        if value is msgspec.UNSET:
            yield from (FieldError(name, "is missing") for name in self._required)
            return
        if self._may_be_null and json_type(value) == "null":
            return
        if self._only_item:
            try:
                items = _items(value)
            except UNREADABLE:
                items = []
            if len(items) != 1:
                got = f"{len(items)} items" if json_type(value) == "an array" else json_type(value)
                yield FieldError(self._place, f"must be an array of exactly one item, got {got}")
                return
            value = items[0]
        yield from self._check(value)


def _field(field: Field, place: str) -> Problems:
    decode = msgspec.json.Decoder(loose_hint(field) if field.coerce else hint(field)).decode
    convert = coerced(field) if field.coerce else None

    def check(raw: bytes) -> object:
        return convert(decode(raw)) if convert else decode(raw)

    def problems(raw: bytes) -> Iterator[FieldError]:
        if problem := problem_of(lambda: check(raw)):
            yield FieldError(place, with_value(problem, bytes(raw).decode(errors="replace")))

    return problems
