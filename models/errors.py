"""The bases of our errors: each says what whoever catches it does.

`Retryable`: try again, nothing is lost. `NeedsOperator`: refuse to start, or end, with the message
and no traceback: it says what a person has to do. `Rejected`: it is the input that is wrong; say so
to whoever sent it, and go on.
"""

from __future__ import annotations


class FraudAppError(Exception):
    """Any error of our own."""


class Retryable(FraudAppError):
    """It could not be done now; the same may be tried again."""


class NeedsOperator(FraudAppError):
    """Nothing gets better by itself; the message says what to do."""


class Rejected(FraudAppError):
    """What was given can never be taken; the message says what is wrong with it."""


class TrainingDataError(NeedsOperator, ValueError):
    """A file of labelled transactions that nothing can be learned from."""
