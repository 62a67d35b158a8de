"""Schemas made at random, with messages that fit them, and messages that break one rule."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from models.schema.definition import ID, Definition, Feature, Field
from models.schema.fields import bounds
from models.schema.paths import parse
from models.schema.schema import Schema
from tests.support.transactions import writable

NAMES = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
TYPES = ("text", "number", "amount", "category", "flag", "time")
VALUES = ["A", "B", "C"]


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    """A field of any type, in a place of its own."""
    kind = draw(st.sampled_from(TYPES))
    given: dict[str, Any] = {"type": kind, "path": draw(_paths(name))}
    given["optional"] = draw(st.booleans())
    if kind == "category" and draw(st.booleans()):
        given["values"] = VALUES
    if kind in ("text", "category") and "values" not in given:
        given["max_length"] = draw(st.integers(1, 20))
    if kind == "time":
        given["format"] = draw(st.sampled_from(["iso8601", "epoch", "epoch_ms", "hour"]))
    if kind == "flag":
        given["form"] = draw(st.sampled_from(["boolean", "0/1"]))
    if kind in ("number", "amount") and draw(st.booleans()):
        given["min"], given["max"] = sorted(draw(st.tuples(*[st.integers(0, 1_000)] * 2)))
    if kind == "number":
        given["whole"] = draw(st.booleans())
    return Field(**given)


def _paths(name: str) -> st.SearchStrategy[str]:
    """Paths that are in nobody's way: the last key is the name of the field."""
    above = st.sampled_from(["", "x.", "x.y.", "list[0].", "x.list[0].deep."])
    return above.map(lambda path: f"{path}{name}_")


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    """A schema with one feature for each field that can have one."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    made = {ID: Field(type="text", role="id", path=draw(_paths("identity")))}
    made |= {f"{name}_": draw(fields(name)) for name in names}
    features = {f"f_{name}": feature for name, each in made.items() if (feature := _of(name, each))}
    return Schema(Definition(name="made", fields=made, features=features))


def _of(name: str, field: Field) -> Feature | None:
    if field.role == "id":
        return None
    if field.type in ("number", "amount"):
        return Feature(log=name)
    if field.type == "time":
        return Feature(hour_of_day=name)
    if field.type == "flag":
        return Feature(one_hot=name)
    if field.values:
        return Feature(one_hot=name, value=field.values[0])
    return Feature(missing=name) if field.optional else Feature(frequency=name)


def values(field: Field) -> st.SearchStrategy[Any]:
    """Values of a field, as JSON has them."""
    least, most = bounds(field)
    if field.type in ("text", "category"):
        if field.values:
            found: st.SearchStrategy[Any] = st.sampled_from(list(field.values))
        else:
            shortest = 1 if field.role == "id" else 0
            found = st.text(writable, min_size=shortest, max_size=field.max_length or 128)
    elif field.type == "flag":
        found = st.sampled_from([0, 1]) if field.form == "0/1" else st.booleans()
    elif field.format == "iso8601":
        zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
        found = st.datetimes(timezones=zones).map(lambda moment: moment.isoformat())
    elif field.whole or field.format in ("hour", "epoch_ms"):
        found = st.integers(int(least), int(most))
    else:
        found = st.floats(least, most)
    return st.none() | found if field.optional else found


@st.composite
def messages(draw: st.DrawFn, schema: Schema) -> dict[str, Any]:
    """The fields of a message, by name; see `nested`. Some that may be missing are."""
    given = {}
    for name, field in schema.definition.fields.items():
        if not field.optional or draw(st.booleans()):
            given[name] = draw(values(field))
    return given


def nested(schema: Schema, given: dict[str, Any]) -> dict[str, Any]:
    """The message that has these fields where the schema has them."""
    message: dict[str, Any] = {}
    for name, value in given.items():
        here = message
        *above, last = parse(schema.definition.fields[name].path or name)
        for step in above:
            below = here.setdefault(step.key, [{}] if step.only_item else {})
            here = below[0] if step.only_item else below
        here[last.key] = [value] if last.only_item else value
    return message
