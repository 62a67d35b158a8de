"""Lets a small share of what the model alone would block through as flags: the control group.

Nobody learns whether a blocked transaction was fraud, unless somebody looks into it. Of those that
are let through the labels come as for any other, and each of them stands for `1 / share` blocks.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from models.records import Decision, Outcome, Reason

EXPLORED: Final = Reason(
    "EXPLORED",
    "The model would block it; a small share of these is flagged instead, to learn what is fraud.",
    0.0,
)
"""The reason of what was let through."""
_HASHES: Final = 2**32


def is_of_model(decision: Decision) -> bool:
    """Whether the score alone has blocked a transaction: such ones may be let through.

    Reasons of lists, rules and the sender contribute nothing to the score.
    """
    return decision.decision is Outcome.BLOCK and all(
        each.contribution for each in decision.reasons
    )


def is_chosen(transaction_id: str, share: float) -> bool:
    """Whether a transaction is in the control group of this share, 0..1.

    It depends on nothing else, so every worker chooses alike, and a decision can be recomputed.
    What is chosen at one share is chosen at every larger one.
    """
    return crc32(transaction_id.encode()) / _HASHES < share
