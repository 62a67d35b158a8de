"""The text of a draft: a schema file, with comments where a person has to decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from models.characters import legible
from models.schema.definition import OPERATIONS, Feature, Field
from models.schema.inference import guessing
from models.schema.inference.draft import Draft, Guess
from models.schema.paths import text

MAX_LEFT_OUT: Final = 50
"""Places without a field that are listed."""
_WANTED: Final = {
    "time": "when it was made",
    "sender": "who pays",
    "receiver": "who is paid",
    "amount": "what is paid",
    "kind": "what kind of transaction it is",
    "label": "whether it was fraud, in files to train on",
}
_OPTIONS: Final = ("form", "format", "optional", "coerce", "currency", "default", "max_length")


def written(draft: Draft) -> str:
    """Return the schema file of a draft; its lines end with a line feed."""
    return "\n".join([*_head(draft), *_fields(draft), *_features(draft)]) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    yield f"# A draft, guessed from {draft.count} messages. Go through all of it: what is optional"
    yield "# may only have been there by chance, and a role may be another field's."
    roles = {each.field.role for each in draft.guesses}
    for role, meaning in _WANTED.items():
        if role not in roles:
            yield f'# No field has role = "{role}", {meaning}: give it to one, if there is any.'
    if "label" not in roles:
        yield from _without_label(draft)
    for place, why in draft.unreachable[:MAX_LEFT_OUT]:
        yield f"# Left out: {legible(place)}: {why}."
    if (more := len(draft.unreachable) - MAX_LEFT_OUT) > 0:
        yield f"# Left out: {more} others."
    yield f"name = {_value(draft.name)}"


def _without_label(draft: Draft) -> Iterator[str]:
    if likely := [each.name for each in draft.guesses if each.tells_label]:
        names = " or ".join(likely)
        yield f"# Training needs a label: give the role label to {names}, as type flag."
    else:
        yield "# Training needs a label. If only files to train on have it, messages may lack it:"
        yield '# [fields.is_fraud], with type = "flag", role = "label", default = false'


def _fields(draft: Draft) -> Iterator[str]:
    for each in draft.guesses:
        yield ""
        if each.leaf is None:
            yield "# No column is an id: rows get one of their number. Live messages need one."
        yield f"[fields.{each.name}]"
        yield f"type = {_value(each.field.type)}"
        if each.field.role is not None:
            yield f"role = {_value(each.field.role)}  # guessed"
        if (path := text(each.path)) != each.name:
            yield f"path = {_value(path)}"
        yield from (f"{name} = {_value(value)}" for name, value in _given(each.field))
        yield from _to_decide(each)


def _given(field: Field) -> Iterator[tuple[str, Any]]:
    for name in _OPTIONS:
        value = getattr(field, name)
        if value is not None and (value is not False or name == "default"):
            yield name, value


def _to_decide(guess: Guess) -> Iterator[str]:
    if guess.leaf is None:
        return
    if guess.tells_label and guess.field.role != "label":
        yield "# By its name it tells what was fraud, so no feature is made of it."
        if guess.field.type != "flag":
            yield "# If it is the label, convert its values to true and false, and draft again."
    values = guessing.categories(guess.leaf.values)
    if guess.field.type == "category" and "" not in values:
        shown = ", ".join(map(_value, sorted(values)))
        yield f"# values = [{shown}]  # all that were seen: are there no others?"
    if guess.field.role == "id" and len(values) < len(guess.leaf.values):
        yield "# Some messages have the same: is it really the id of a transaction?"
    if guess.field.role == "amount" and guess.field.type == "amount" and not guess.field.currency:
        yield '# currency = "NAME"  # the field with its currency, if there is one'


def _features(draft: Draft) -> Iterator[str]:
    yield ""
    yield "# Only what is known when a decision is asked for; nothing that tells the label."
    yield "[features]"
    yield from (f"{name} = {_feature(each)}" for name, each in draft.features.items())
    yield ""
    yield "# Reasons in words: without any, each feature is a reason with the value of its field."
    yield "# [[reasons]]"
    yield f'# features = ["{next(iter(draft.features), "")}"]'
    yield '# says = [{ code = "CODE", text = "A sentence with {FIELD}." }]'


def _feature(feature: Feature) -> str:
    given = {name: getattr(feature, name) for name in (*OPERATIONS, "value")}
    inner = ", ".join(
        f"{name} = {_value(each)}" for name, each in given.items() if each is not None
    )
    return f"{{ {inner} }}"


def _value(value: Any) -> str:
    """A value in TOML; texts are written as in JSON, but for DEL and surrogate pairs."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
