"""The schemas of types, as OpenAPI and AsyncAPI documents hold them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

REF: Final = "#/components/schemas/{name}"
_GENERIC: Final = {"Decision[Transaction]": "Decision", "Decision_Transaction_": "Decision"}
"""What msgspec calls a decision whose type of transaction is given, and what it is called here."""


def components(types: Iterable[Any]) -> dict[str, Any]:
    """Return the schemas of these types, and of all that they refer to, by name."""
    _, found = msgspec.json.schema_components(types, ref_template=REF)
    text = msgspec.json.encode(found).decode()
    for name, simple in _GENERIC.items():
        text = text.replace(f'"{name}"', f'"{simple}"').replace(f'/{name}"', f'/{simple}"')
    made: dict[str, Any] = msgspec.json.decode(text)
    return made
