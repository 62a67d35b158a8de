"""The policy: thresholds that map a probability to an outcome, and the flag that overrides them."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from models.records import Outcome

_NUMBER: Final = r"([0-9.]{1,32}(?:e-[0-9]{1,3})?)"
_VERSION: Final = re.compile(rf"flag-{_NUMBER}-block-{_NUMBER}", re.ASCII)


class Policy(Struct, frozen=True):
    """The thresholds: probabilities of fraud from which on a transaction is flagged or blocked."""

    flag_at: float = 0.5
    block_at: float = 0.8

    def __post_init__(self) -> None:
        """Raise `ValueError` unless 0 <= flag_at <= block_at <= 1."""
        if not 0.0 <= self.flag_at <= self.block_at <= 1.0:
            raise ValueError(
                f"thresholds must satisfy 0 <= flag_at <= block_at <= 1, "
                f"got flag_at={self.flag_at}, block_at={self.block_at}"
            )

    @property
    def version(self) -> str:
        """Name of this policy in every decision; two policies with one name decide alike."""
        return f"flag-{self.flag_at!r}-block-{self.block_at!r}"

    @classmethod
    def of(cls, version: str) -> Policy | None:
        """Return the policy with this version; None if the text is no version of thresholds."""
        match = _VERSION.fullmatch(version)
        try:
            return cls(float(match[1]), float(match[2])) if match else None
        except ValueError:
            return None

    def decide(self, score: float, *, flagged_upstream: bool) -> Outcome:
        """Map a fraud probability to an outcome; at a threshold, the stricter outcome applies."""
        if not 0.0 <= score <= 1.0:  # NaN fails this comparison too
            raise ValueError(f"score must be in 0..1, got {score!r}")
        if flagged_upstream or score >= self.block_at:
            return Outcome.BLOCK
        return Outcome.FLAG if score >= self.flag_at else Outcome.APPROVE
