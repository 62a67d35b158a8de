"""What a policy file says: thresholds, rules, and lists that decide by themselves.

The file is TOML; `models/policies/README.md` describes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from models.records import MAX_AMOUNT

Action = Literal["block", "flag", "approve"]
"""What a rule that hits asks for."""
Mode = Literal["active", "test", "off"]
"""A rule in `test` is evaluated and recorded, and decides nothing."""

NAME: Final = r"^[a-z][a-z0-9_]{0,62}$(?!\n)"
MODEL: Final = r"^[A-Za-z0-9_-]{1,128}$(?!\n)"
Name = Annotated[str, Meta(pattern=NAME)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1, max_length=300)]
Share = Annotated[float, Meta(gt=0, le=1)]


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
    up_to: Annotated[float, Meta(ge=0, le=MAX_AMOUNT)] | None = None
    """Of a rule that approves, which has to have one: the largest amount that it is about."""
    max_share: Share | None = None
    """Of a rule that blocks: the share of decisions that it may hit, see `Caps.rule_share`."""


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A list that blocks or approves whatever has one of its entries in a field."""

    field: str
    then: Literal["block", "approve"]
    reason: Text
    owner: Text
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    up_to: Annotated[float, Meta(ge=0, le=MAX_AMOUNT)] | None = None
    """As those of a rule: a list that approves has to have both."""


class Caps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Shares of all decisions in a window of time above which a policy seems to be a mistake.

    What lists block, or the sender has flagged, is not counted, and is blocked all the same.
    """

    block_share: Share | None = None
    """What rules and the model may block. Above it they flag, with the reason `CAPPED`."""
    rule_share: Share | None = None
    """What each rule that blocks may hit, unless it has a `max_share`. Above it the rule goes to
    test by itself."""
    window_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 60
    min_decisions: Annotated[int, Meta(ge=1, le=10**9)] = 100
    """Decisions in the window before shares mean anything."""
    calm_seconds: Annotated[int, Meta(ge=1, le=7 * 24 * 3_600)] = 300
    """A cap ends by itself when the share has been below it for so long."""


class PolicyFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole policy file."""

    flag_at: Probability = 0.5
    """The score from which on a transaction is flagged, unless something stricter applies."""
    block_at: Probability = 0.8
    rules: Sequence[Rule] = ()
    lists: Mapping[Name, Listing] = {}
    """By the name of the list. Lists that only rules look into need no entry here."""
    caps: Caps = Caps()
    explore: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    """The share of what the model alone would block that is flagged instead, to learn from."""
    model: Annotated[str, Meta(pattern=MODEL)] | None = None
    """The model version that scores: the worker's own, or one of the control topic."""
    shadow: Annotated[Sequence[Annotated[str, Meta(pattern=MODEL)]], Meta(max_length=3)] = ()
    """Model versions that score beside it and decide nothing, unless there is a `canary`; those of
    the control topic."""
    canary: Probability = 0.0
    """The share of senders for whom the one in `shadow` decides all the same."""
