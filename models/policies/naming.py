"""Which models a policy names, by the beginning of its text alone."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from models.policies.reading import PolicyError, parsed_text

MAX_KEPT: Final = 1_024
"""Texts whose names are kept, so that a chain of policies is read once."""
_FIRST_TABLE: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)


class NamedModels(NamedTuple):
    """The models that a policy names."""

    decides: str | None = None
    """None for the worker's own."""
    shadow: tuple[str, ...] = ()


@lru_cache(MAX_KEPT)
def named_models(text: str) -> NamedModels | None:
    """Return the models that the text of a policy names; None if it is not that of a policy.

    It looks at what is above the first table, where they are named, and not at whether the rest can
    be in force. That takes tens of microseconds, and as long as for the whole text at worst.
    """
    text = text.replace("\r\n", "\n")
    table = _FIRST_TABLE.search(text)
    top = _top(text[: table.start()]) if table else None
    if top is None and (top := _top(text)) is None:  # the first table may be within an array
        return None
    decides, shadow = top.get("model"), top.get("shadow", [])
    if not isinstance(decides, (str, type(None))) or not isinstance(shadow, list):
        return None
    return NamedModels(decides, tuple(each for each in shadow if isinstance(each, str)))


def _top(text: str) -> dict[str, Any] | None:
    try:
        return parsed_text(text)
    except PolicyError:
        return None
