"""The JSON Schema of a message: the fields of a transaction where they lie, as they may be written.

Objects within the message have no names of their own, so none can clash with another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from models.schema import paths
from models.schema.coercion import FLAGS
from models.schema.definition import Field
from models.schema.fields import default, hint
from models.schema.paths import Step, Tree
from models.schema.schema import Schema
from models.schema.transactions import is_flat

_NULL: Final = {"type": "null"}
_AS_TEXT: Final = {"type": "string", "description": "the number as text"}
_FLAGS: Final = {"enum": [True, False, 1, 0, *FLAGS]}


def component(schema: Schema) -> str:
    """Return the name of the component that describes a message.

    A message whose fields lie as they do in the transaction of a decision is described by the same.
    """
    return "Transaction" if is_flat(schema.definition) else "TransactionMessage"


def message_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON Schema of a message; keys that it does not name are ignored."""
    definition = schema.definition
    about = {"description": definition.description} if definition.description else {}
    return about | _object(definition.fields, paths.tree(paths.places(definition)))


def _object(fields: Mapping[str, Field], tree: Tree) -> dict[str, Any]:
    required = [
        step.key
        for step, below in tree.items()
        if not all(default(fields[name]) for name in paths.names(below))
    ]
    properties = {
        step.key: _property(fields, step, below, may_be_null=step.key not in required)
        for step, below in tree.items()
    }
    found: dict[str, Any] = {"type": "object", "properties": properties}
    return found | {"required": required} if required else found


def _property(
    fields: Mapping[str, Field], step: Step, below: Tree | str, *, may_be_null: bool
) -> dict[str, Any]:
    if isinstance(below, str):
        found = _value(fields[below])
        if not step.only_item:
            given = default(fields[below])
            return found | {"default": msgspec.to_builtins(given[0])} if given else found
    else:
        found = _object(fields, below)
    if step.only_item:
        found = {"type": "array", "items": found, "minItems": 1, "maxItems": 1}
    return {"anyOf": [found, _NULL]} if may_be_null else found


def _value(field: Field) -> dict[str, Any]:
    strict = _described(msgspec.structs.replace(field, optional=False))
    forms = _coerced(strict, field) if field.coerce else [strict]
    if field.optional:
        forms.append(_NULL)
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _described(field: Field) -> dict[str, Any]:
    (found,), _ = msgspec.json.schema_components([hint(field)])
    return found


def _coerced(strict: dict[str, Any], field: Field) -> list[dict[str, Any]]:
    """Return all forms in which a value may be written; see `models.schema.coercion`."""
    if field.type in ("text", "category"):
        return [strict, {"type": "integer"}]
    if field.type == "flag":
        return [_FLAGS]
    if field.format == "iso8601":
        about = strict.get("description", "a time")
        return [{"type": "string", "description": f"{about}; ISO 8601, without an offset in UTC"}]
    return [strict, _AS_TEXT]
