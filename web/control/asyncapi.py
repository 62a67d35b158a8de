"""The control topic in the AsyncAPI document."""

from __future__ import annotations

from typing import Any, Final

from models.control.records import (
    AUTHOR_HEADER,
    NOTE_HEADER,
    Approved,
    Capped,
    Listed,
    Proposed,
)
from web.components import REF

TYPES: Final = (Proposed, Approved, Listed, Capped)
_KEYS: Final = {
    "Proposed": "`policy/ID`; the id is 32 hexadecimal digits",
    "Approved": "`approval/ID`, of the policy",
    "Listed": "`list/NAME/VALUE`; without a value the entry is removed",
    "Capped": "`cap/ID` of a policy, or `cap/ID/RULE`",
}


def channel(topic: str) -> dict[str, Any]:
    """Return the channel, with all kinds of its records."""
    return {
        "address": topic,
        "description": "Policies, approvals, entries of lists and caps, in the order in which they "
        "came in force; never compacted.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _KEYS},
        "bindings": {"kafka": {"topic": topic, "partitions": 1}},
    }


def messages() -> dict[str, Any]:
    """Return the records by kind."""
    return {name: _message(name, key) for name, key in _KEYS.items()}


def _message(name: str, key: str) -> dict[str, Any]:
    headers = {each: {"type": "string"} for each in (AUTHOR_HEADER, NOTE_HEADER)}
    return {
        "payload": {"$ref": REF.format(name=name)},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
        **({"headers": {"type": "object", "properties": headers}} if name == "Listed" else {}),
    }
