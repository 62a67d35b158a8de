"""The JSON documents of policies; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from models.control.chain import Fate
from models.control.records import MAX_POLICY_CHARACTERS, Id, Note
from models.records import FieldError
from web.schemas import CapState, ProblemDocument

MAX_DECISIONS: Final = 50_000
"""Of one backtest."""

Text = Annotated[str, Meta(max_length=MAX_POLICY_CHARACTERS)]


class _Described(Struct, frozen=True, kw_only=True):
    id: str
    """Names it as the parent of the next one; empty for the thresholds of the settings."""
    number: int
    """Its place among those that came in force, from 1; 0 if it has none."""
    author: str
    at: datetime | None
    """When it was proposed, by the broker's clock."""
    note: str
    approved_by: str | None
    approval_note: str


class PolicyEntry(_Described, frozen=True, kw_only=True):
    """A policy that was proposed, and what became of it."""

    parent: str
    """The id of the one that it was to take the place of."""
    fate: Fate
    why: str
    """Why it is not in the chain of those that came in force; empty if it is."""


class PolicyVersion(PolicyEntry, frozen=True, kw_only=True):
    """The same with its text."""

    text: str


class PolicyState(_Described, frozen=True, kw_only=True):
    """The last policy that came in force, and whether it decides at this worker.

    Number 0 without an id is of the thresholds in the settings, which decide before any.
    """

    text: str
    in_force: bool
    """Whether it decides here; false if it does not fit this worker, which `notes` explain."""
    version: str
    """What decides here, as decisions name it."""
    explore: float
    """The share of what the model alone would block that is flagged instead, by what decides here;
    0 for none."""
    model: str
    """The model version that decides here."""
    shadow: list[str]
    """The model versions that score beside it here."""
    canary: float
    """The share of senders for whom the first of these decides; 0 for none."""
    caps: list[CapState]
    lists: dict[str, int]
    """Entries by the name of the list."""
    notes: list[str]
    """What is wrong with this policy, or with later ones."""


class PolicyChange(PolicyState, frozen=True, kw_only=True):
    """What is in force after a change, and who has it."""

    acknowledged: bool
    """Whether the owners of all partitions decide by it, or by a later one."""
    lagging: list[str]
    """The workers that do not yet."""


class History(Struct, frozen=True):
    """Policies that were proposed, the newest first."""

    policies: list[PolicyEntry]


class NewPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to be put in force in the place of its parent."""

    text: Text
    note: Note = ""
    parent: str | int | None = None
    """Id or number of the policy that it takes the place of; the header `If-Match` says it, too."""


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """The approval of a policy that waits for it."""

    id: Id
    note: Note = ""


class CapEnd(Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a cap of the policy in force."""

    rule: str
    """Empty for the cap on all that is blocked."""
    note: Note = ""


class PolicyText(Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to be checked."""

    text: Text


class Trial(Struct, frozen=True, forbid_unknown_fields=True):
    """A policy to be tried on past decisions."""

    text: Text
    decisions: Annotated[int, Meta(ge=1, le=MAX_DECISIONS)] = 10_000
    """How many of the last ones; there may be fewer."""


class PolicyProblem(FieldError, frozen=True, kw_only=True):
    """What is wrong with a policy, and where in its text, from 1; None if that is not known."""

    line: int | None = None
    column: int | None = None
    rule: str | None = None
    """The rule that it is about; None if it is about none."""


class Checked(Struct, frozen=True, kw_only=True):
    """Whether a policy can be in force at this worker."""

    valid: bool
    rules: list[str] = []
    """The ids of the rules that it evaluates."""
    lists: list[str] = []
    """The lists that it looks into."""
    errors: list[PolicyProblem] = []


class InvalidPolicy(ProblemDocument, frozen=True, kw_only=True):
    """A policy that cannot be in force, or a request with errors; nothing was written."""

    errors: list[PolicyProblem]


class Outdated(ProblemDocument, frozen=True, kw_only=True):
    """Somebody else was faster: what is in force now."""

    policy: PolicyState
