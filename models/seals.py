"""Hashes by which the files of a model are recognised, wherever they travel."""

from __future__ import annotations

import hashlib
from typing import Final

_NAME_DIGITS: Final = 16


def name_digest(model: bytes) -> str:
    """Return the end of a version's name: 16 digits of the SHA-256 of its model file."""
    return hashlib.sha256(model).hexdigest()[:_NAME_DIGITS]


def has_name(version: str, model: bytes) -> bool:
    """Whether a version has the name of this model file."""
    return version.endswith(f"-{name_digest(model)}")


def seal(model: bytes, card: bytes) -> str:
    """Return the SHA-256, in 64 digits, of a model file and its card together."""
    content = hashlib.sha256(len(model).to_bytes(8, "big"))
    content.update(model)
    content.update(card)
    return content.hexdigest()
