"""PaySim's reasons in code: what those of its schema must equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.records import Reason
from tests.support.paysim_formulas import CENT, DRAINING, FEATURE_NAMES

Said = tuple[str, str, str]
"""The code, the sentence where it raises the risk, and that where it speaks against fraud."""


class Group(NamedTuple):
    """A group of features that makes one reason."""

    features: tuple[str, ...]
    describe: Callable[[Any], Said]
    """What is said of a transaction."""


def _type(t: Any) -> Said:
    return f"TYPE_{t.type}", f"It is a {t.type}.", f"That it is a {t.type} speaks against fraud."


def _amount(t: Any) -> Said:
    amount = f"{t.amount:,.2f}"
    return "AMOUNT", f"The amount is {amount}.", f"An amount of {amount} speaks against fraud."


def _origin(t: Any) -> Said:
    held = f"{t.oldbalanceOrg:,.2f}"
    return (
        "ORIGIN_BALANCE",
        f"The sender holds {held} before.",
        f"A sender who holds {held} before speaks against fraud.",
    )


def _share(t: Any) -> Said:
    amount, held = f"{t.amount:,.2f}", f"{t.oldbalanceOrg:,.2f}"
    if t.oldbalanceOrg == 0.0:
        return (
            "EMPTY_ORIGIN",
            f"The sender's account is empty, the amount is {amount}.",
            "The sender's account is empty: there is nothing to take.",
        )
    if t.type in DRAINING and abs(t.amount - t.oldbalanceOrg) <= CENT < t.amount:
        return (
            "TAKES_WHOLE_BALANCE",
            f"The sender's whole balance leaves, {amount}.",
            f"That the sender's whole balance leaves, {amount}, speaks against fraud.",
        )
    if t.amount - t.oldbalanceOrg > CENT:
        return (
            "EXCEEDS_BALANCE",
            f"The amount exceeds the sender's balance, {held}.",
            f"An amount above the sender's balance, {held}, speaks against fraud.",
        )
    share = t.amount / t.oldbalanceOrg
    if t.type == "CASH_IN":
        return (
            "SHARE_OF_BALANCE",
            f"The amount is {share:.1%} of the sender's balance.",
            f"An amount of {share:.1%} of the sender's balance speaks against fraud.",
        )
    left = round(1.0 - share, 9) + 0.0
    return (
        "SHARE_OF_BALANCE",
        f"Of the sender's balance, {share:.1%} leaves.",
        f"Of the sender's balance, {left:.1%} stays.",
    )


def _destination(t: Any) -> Said:
    if t.oldbalanceDest == 0.0:
        return (
            "EMPTY_DESTINATION",
            "The receiver's account shows no balance before.",
            "A receiver's account that shows no balance before speaks against fraud.",
        )
    held = f"{t.oldbalanceDest:,.2f}"
    return (
        "DESTINATION_BALANCE",
        f"The receiver holds {held} before.",
        f"The receiver's account is in use: it holds {held} before.",
    )


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
    """Return up to `most` reasons: those that raise the risk first, the strongest of each first.

    `contributions` has one number for each of `GROUPS`; groups that contribute 0 make no reason.
    """
    ranked = sorted(
        (place for place in range(len(GROUPS)) if contributions[place] != 0.0),
        key=lambda place: (contributions[place] < 0.0, -abs(contributions[place])),
    )
    return [_reason(transaction, place, contributions[place]) for place in ranked[:most]]


def _reason(transaction: Any, place: int, contribution: float) -> Reason:
    code, raising, lowering = GROUPS[place].describe(transaction)
    return Reason(code, raising if contribution > 0.0 else lowering, contribution)
