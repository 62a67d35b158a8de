"""The two types of records: transactions, which come in, and decisions, which go out."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Generic

from msgspec import Meta, Struct
from typing_extensions import TypeVar

from models.characters import ALLOWED_CHARACTERS

MAX_STEP = 2**31 - 1  # hours; fits a 32-bit column
MAX_AMOUNT = 1e15  # far above any transfer, and sums over days stay exact enough
MAX_TEXT_CHARACTERS = 128


class Transaction(Struct, frozen=True, kw_only=True, gc=False):
    """One transaction; a schema makes a subclass that has its other fields."""

    transaction_id: Annotated[
        str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS, description=ALLOWED_CHARACTERS)
    ]
    """The producer's id; the idempotency key everywhere."""

    if TYPE_CHECKING:  # what other fields there are is known when a schema is read

        def __getattr__(self, name: str) -> Any: ...


T = TypeVar("T", bound=Transaction, default=Transaction)


class Outcome(str, Enum):
    """The action on a transaction, from the most lenient to the strictest."""

    APPROVE = "APPROVE"
    FLAG = "FLAG"
    BLOCK = "BLOCK"


class Reason(Struct, frozen=True, gc=False):
    """Why a score or a decision is what it is."""

    code: str
    """Stable name for programs, e.g. `FLAGGED_UPSTREAM`."""
    text: str
    """A sentence for people."""
    contribution: float
    """Its share of the model's raw score, in log-odds; 0 for reasons of the policy."""


class Shadow(Struct, frozen=True, gc=False):
    """What a model that does not decide says of a transaction."""

    score: Annotated[float, Meta(ge=0, le=1)]
    """Probability of fraud, 0..1."""
    decision: Outcome
    """What the same policy would have decided with this score, without its cap on all that is
    blocked and without `explore`."""


class Decision(Struct, Generic[T], frozen=True, kw_only=True, omit_defaults=True):
    """The one answer to a transaction, with all that is needed to explain it later."""

    transaction_id: str
    decision: Outcome
    score: Annotated[float, Meta(ge=0, le=1)]
    """Probability of fraud, 0..1."""
    reasons: list[Reason]
    model_version: str
    policy_version: str
    decided_at: Annotated[datetime, Meta(tz=True)]
    """UTC; written as ISO 8601."""
    topic: str
    partition: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    offset: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    """Position of the input: topic, partition and offset."""
    transaction: T
    schema_version: Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)] = ""
    """Name and hash of the fields of the transaction; left out for those of PaySim's schema."""
    hits: list[str] = []
    """The ids of all rules that hit, those in test too; left out if none did."""
    profile: dict[str, float] = {}
    """What was known of the accounts when it was decided, by the names of the schema's profile."""
    profile_version: Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)] = ""
    """Name and hash of what the schema says of profiles; left out without any."""
    shadow: dict[str, Shadow] = {}
    """By version, what the models in the policy's `shadow` say; one that had no score is not there.
    Left out without any."""
    profile_lag: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds by which the profiles were behind, if that was more than the settings allow."""
    explored: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The share of the model's blocks that are let through as flags, if this is one of them."""


class FieldError(Struct, frozen=True):
    """One thing wrong with an input, and where."""

    field: str
    """Name of the field; empty if the error is in the input as a whole."""
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem

    def as_json(self) -> dict[str, Any]:
        """Return the form that the error has in a problem+json answer."""
        return {"field": self.field, "problem": self.problem}
