"""The base classes of our errors; each tells the code that catches it how to react.

`Retryable`: try again; nothing is lost. `NeedsOperator`: refuse to start, or end, with the message
and without a traceback, since the message says what a person has to do. `Rejected`: the input is
wrong; report that to its sender, and continue.
"""

from __future__ import annotations


class FraudAppError(Exception):
    """Base of all our errors."""


class Retryable(FraudAppError):
    """The operation failed for now; the same may be tried again."""


class NeedsOperator(FraudAppError):
    """Retrying does not help; the message says what a person has to do."""


class Rejected(FraudAppError):
    """The input can never be accepted; the message says what is wrong with it."""


class TrainingDataError(NeedsOperator, ValueError):
    """Labelled transactions that a model cannot be trained on or evaluated with."""
