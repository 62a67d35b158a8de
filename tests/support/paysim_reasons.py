"""PaySim's reasons as they were in code: what those of its schema must equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.records import Reason
from tests.support.paysim_formulas import CENT, DRAINING, FEATURE_NAMES


class Group(NamedTuple):
    """A group of features that makes one reason."""

    features: tuple[str, ...]
    describe: Callable[[Any], tuple[str, str]]
    """The reason's code and sentence for a transaction."""


def _type(t: Any) -> tuple[str, str]:
    return f"TYPE_{t.type}", f"It is a {t.type}."


def _amount(t: Any) -> tuple[str, str]:
    return "AMOUNT", f"The amount is {t.amount:,.2f}."


def _origin(t: Any) -> tuple[str, str]:
    return "ORIGIN_BALANCE", f"The sender holds {t.oldbalanceOrg:,.2f} before."


def _share(t: Any) -> tuple[str, str]:
    if t.oldbalanceOrg == 0.0:
        return "EMPTY_ORIGIN", f"The sender's account is empty, the amount is {t.amount:,.2f}."
    if t.type in DRAINING and abs(t.amount - t.oldbalanceOrg) <= CENT < t.amount:
        return "TAKES_WHOLE_BALANCE", f"The amount is the sender's whole balance, {t.amount:,.2f}."
    if t.amount - t.oldbalanceOrg > CENT:
        return (
            "EXCEEDS_BALANCE",
            f"The amount exceeds the sender's balance, {t.oldbalanceOrg:,.2f}.",
        )
    share = t.amount / t.oldbalanceOrg
    return "SHARE_OF_BALANCE", f"The amount is {share:.1%} of the sender's balance."


def _destination(t: Any) -> tuple[str, str]:
    if t.oldbalanceDest == 0.0:
        return "EMPTY_DESTINATION", "The receiver's account shows no balance before."
    return "DESTINATION_BALANCE", f"The receiver holds {t.oldbalanceDest:,.2f} before."


GROUPS = (
    Group(("is_cash_in", "is_cash_out", "is_debit", "is_transfer"), _type),
    Group(("log_amount",), _amount),
    Group(("log_origin_balance",), _origin),
    Group(("log_share", "takes_all", "exceeds_balance", "origin_empty"), _share),
    Group(("log_destination_balance", "destination_empty"), _destination),
)
"""Every feature is in exactly one group."""

_MEMBERSHIP = np.array(
    [[float(name in group.features) for group in GROUPS] for name in FEATURE_NAMES]
)


def grouped(contributions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the contributions of features, (n, features), into those of groups, (n, groups)."""
    sums: NDArray[np.float64] = contributions @ _MEMBERSHIP
    return sums


def strongest(transaction: Any, contributions: list[float], most: int = 3) -> list[Reason]:
    """Return up to `most` reasons, in order of the absolute value of their contributions.

    `contributions` has one number for each of `GROUPS`; groups that contribute 0 make no reason.
    """
    ranked = sorted(range(len(GROUPS)), key=lambda place: -abs(contributions[place]))
    return [
        Reason(*GROUPS[place].describe(transaction), contributions[place])
        for place in ranked[:most]
        if contributions[place] != 0.0
    ]
