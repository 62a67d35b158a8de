"""The two types of records: transactions, which come in, and decisions, which go out."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from models.characters import ALLOWED_CHARACTERS

MAX_STEP = 2**31 - 1  # fits a 32-bit column; PaySim's own steps end at 743
MAX_AMOUNT = 1e15  # far above any transfer, and sums over days stay exact enough
MAX_TEXT_CHARACTERS = 128

Amount = Annotated[float, Meta(ge=0, le=MAX_AMOUNT, description="account currency")]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS, description=ALLOWED_CHARACTERS)]
Label = Literal[0, 1]
TransactionType = Literal["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER"]


class Transaction(Struct, frozen=True, kw_only=True, gc=False):
    """One mobile-money transaction, as PaySim describes it.

    Built by `models.parsing`, which also checks the characters of texts: types cannot.
    """

    transaction_id: Annotated[
        str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS, description=ALLOWED_CHARACTERS)
    ]
    """The producer's id; the idempotency key everywhere."""
    step: Annotated[int, Meta(ge=1, le=MAX_STEP)]
    """Hour since the start of the simulation, from 1."""
    type: TransactionType
    amount: Amount
    nameOrig: Text
    oldbalanceOrg: Amount
    newbalanceOrig: Amount
    nameDest: Text
    oldbalanceDest: Amount
    newbalanceDest: Amount
    isFraud: Label = 0
    """The label, where it is known; never a model input."""
    isFlaggedFraud: Label = 0
    """Whether the sender's own rule has flagged it; the policy uses it, the model never does."""


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


class Decision(Struct, frozen=True, kw_only=True):
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
    transaction: Transaction


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
