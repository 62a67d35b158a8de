"""What a policy file says: thresholds, rules, and lists that decide by themselves.

The file is TOML; `models/policies/README.md` describes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

Action = Literal["block", "flag", "approve"]
"""What a rule that hits asks for."""
Mode = Literal["active", "test", "off"]
"""A rule in `test` is evaluated and recorded, and decides nothing."""

NAME: Final = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Meta(pattern=NAME)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1, max_length=300)]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition, and what is done with the transactions that it holds for."""

    id: Name
    when: str
    """An expression in the language of `models.rules`."""
    then: Action
    mode: Mode = "active"
    reason: Text
    """A sentence with fields in it, as in the reasons of a schema."""
    owner: Text
    """Who answers for it."""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    """From then on it is off; a rule that approves has to have one."""
    up_to: Annotated[float, Meta(ge=0)] | None = None
    """Of a rule that approves, which has to have one: the largest amount that it is about."""


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A list that blocks or approves whatever has one of its entries in a field."""

    field: str
    then: Literal["block", "approve"]
    reason: Text
    owner: Text
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    up_to: Annotated[float, Meta(ge=0)] | None = None
    """As those of a rule: a list that approves has to have both."""


class PolicyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole policy file."""

    flag_at: Probability = 0.5
    """The score from which on a transaction is flagged, unless something stricter applies."""
    block_at: Probability = 0.8
    rules: Sequence[Rule] = ()
    lists: Mapping[Name, Listing] = {}
    """By the name of the list. Lists that only rules look into need no entry here."""
