"""Until when, and up to which amount, a rule or a list of a policy holds."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from models.policies.definition import Listing, Rule

ALWAYS: Final = datetime.max.replace(tzinfo=timezone.utc)
"""The end of what does not expire."""


def end_of(given: Rule | Listing) -> datetime:
    """Return when a rule or a list is over."""
    return given.expires_at or ALWAYS


def lets_by(given: Rule | Listing, amount: float | None) -> bool:
    """Whether a rule or a list approves this amount; what has no amount is not approved."""
    if given.then != "approve" or given.up_to is None:
        return False
    return amount is not None and amount <= given.up_to
