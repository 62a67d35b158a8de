"""The schemas of types, as OpenAPI and AsyncAPI documents hold them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from models.schema.schema import Schema
from web.messages import component, message_schema

REF: Final = "#/components/schemas/{name}"
_GENERIC: Final = {
    form.format(name): name
    for name in ("Decision", "Labelled")
    for form in ("{}[Transaction]", "{}_Transaction_")
}
"""By what msgspec calls types whose type of transaction is given, as a title and as a name."""


def components(schema: Schema, *types: Any) -> dict[str, Any]:
    """Return the schemas of a schema's messages and decisions, and of other types, by name.

    All that they refer to is among them.
    """
    all_types = (schema.transaction, schema.decision, *types)
    _, found = msgspec.json.schema_components(all_types, ref_template=REF)
    described = {_GENERIC.get(name, name): each for name, each in found.items()}
    described["Decision"] |= {"title": "Decision"}
    if labelled := described.get("Labelled"):
        labelled["title"] = "Labelled"
        # No other type refers to one that is renamed.
        labelled["properties"]["decision"] = {"$ref": REF.format(name="Decision")}
    if (name := component(schema)) not in described:
        described[name] = message_schema(schema)
    return described
