"""The name of all that was in force when a decision was made."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MAX_OFFSET: Final = 2**63 - 1
_FORM: Final = re.compile(r"([1-9][0-9]{0,8})(?:\+(0|[1-9][0-9]{0,18}))?")


class Version(NamedTuple):
    """Names a policy, and the entries of its lists and its caps: `42+1881`."""

    number: int
    """Of the policy in the chain, from 1."""
    offset: int = 0
    """Of the control log: all records before it about the policy's lists and caps count."""

    def __str__(self) -> str:
        return f"{self.number}+{self.offset}"

    @classmethod
    def of(cls, text: str) -> Version | None:
        """Return the version that a text names, with or without an offset; None if it names none.

        The version of thresholds that are settings is none: see `models.policy.Policy.version`.
        """
        match = _FORM.fullmatch(text)
        offset = int(match[2] or 0) if match else 0
        return cls(int(match[1]), offset) if match and offset <= MAX_OFFSET else None
