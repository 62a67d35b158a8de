"""A policy with another model: its text is changed where it names models, and nowhere else."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from models.policies.reading import PolicyError, read
from models.schema.schema import Schema

_TABLE: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)
_MODEL: Final = re.compile(r"^[ \t]*model[ \t]*=[^\n]*(?:\n|\Z)", re.MULTILINE)
_SHADOW: Final = re.compile(
    r"^[ \t]*shadow[ \t]*=[ \t]*\[[^\]]*\][ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)", re.MULTILINE
)

_CANARY: Final = re.compile(r"^[ \t]*canary[ \t]*=[^\n]*(?:\n|\Z)", re.MULTILINE)


def promoted(text: str, version: str, schema: Schema) -> str:
    """Return a policy in which `version` decides, and is not in shadow any more, nor the canary.

    Raises `PolicyError` if the text is no policy, or names models in a way that only a person can
    change.
    """
    before = read(text.encode(), schema)
    shadow = [each for each in before.shadow if each != version]
    canary = before.canary if shadow else 0.0
    first = _TABLE.search(text)
    end = first.start() if first else len(text)
    top, rest = text[:end], text[end:]
    lines = f'model = "{version}"\n'
    if shadow:
        named = ", ".join(f'"{each}"' for each in shadow)
        lines += f"shadow = [{named}]\n"
    found = filter(None, (each.search(top) for each in (_MODEL, _SHADOW)))
    at = min((each.start() for each in found), default=0)
    kept = (_SHADOW.sub("", _MODEL.sub("", part)) for part in (top[:at], top[at:]))
    if not canary:
        kept = (_CANARY.sub("", part) for part in kept)
    made = lines.join(kept) + rest
    try:
        after = read(made.encode(), schema)
        expected = msgspec.structs.replace(before, model=version, shadow=shadow, canary=canary)
        if msgspec.structs.replace(after, shadow=[*after.shadow]) == expected:
            return made
    except PolicyError:
        pass
    raise PolicyError(
        [f'its models are written in a way of its own: write model = "{version}" yourself']
    )
