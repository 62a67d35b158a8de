"""PaySim's features in formulas of their own: what those compiled from its schema must equal.

They are the formulas that served before there were schemas.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float32]

FEATURE_NAMES: Final = (
    "is_cash_in",
    "is_cash_out",
    "is_debit",
    "is_transfer",
    "log_amount",
    "log_origin_balance",
    "log_destination_balance",
    "log_share",
    "takes_all",
    "exceeds_balance",
    "origin_empty",
    "destination_empty",
)
"""Names of the columns of the matrix. `log_share` is the log of amount over origin balance. PAYMENT
is the baseline of the four types. `takes_all` can only be true for the types in `DRAINING`."""

DRAINING: Final = frozenset({"CASH_OUT", "TRANSFER"})
"""Types by which fraud empties an account. Paying or being debited one's last 50.00 is an everyday
event, and a CASH_IN takes nothing out: a model that has never seen such rows would take them for a
drain. Amounts of zero are no drain either, whatever the type."""

TYPE_CODES: Final = {"CASH_IN": 0, "CASH_OUT": 1, "DEBIT": 2, "TRANSFER": 3, "PAYMENT": 4}

CENT: Final = 0.005  # half the smallest unit: amounts nearer than this are equal

_ONE_HOT: Final = np.eye(5, dtype=np.float32)[:, :4]
_ONE_HOT_ROWS: Final = {kind: _ONE_HOT[code].tolist() for kind, code in TYPE_CODES.items()}
_fields = attrgetter("type", "amount", "oldbalanceOrg", "oldbalanceDest")


def features(transactions: Sequence[Any]) -> Matrix:
    """Return the feature matrix, float32 of shape (transactions, features), all finite.

    Raises `ValueError` for an unknown type and for amounts or balances that are negative or not
    finite. Parsing has refused both before.
    """
    if not transactions:
        return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
    if len(transactions) == 1:
        return _of_one(*_fields(transactions[0]))
    kinds, *money = zip(*map(_fields, transactions), strict=True)
    return from_columns(kinds, money)


def from_columns(kinds: Iterable[str], money: ArrayLike) -> Matrix:
    """Return the matrix from columns: types, and (3, n) numbers: amount and both old balances.

    Raises like `features`. The result is the transpose of a contiguous array: its columns are
    contiguous, its rows are not.
    """
    table = np.asarray(money, dtype=np.float64)
    if table.size and not (table.min() >= 0.0 and table.max() < np.inf):  # NaN fails this too
        raise ValueError("amounts and balances must be finite and not negative")
    try:
        codes = [TYPE_CODES[kind] for kind in kinds]
    except KeyError as error:
        raise ValueError(f"unknown transaction type {error.args[0]!r}") from None
    amount, origin, destination = table
    # Twelve rows, one for each feature. The log of the largest float, 1.8e308, is 709, so that all
    # values fit float32, the type in which scikit-learn's trees compare.
    matrix = np.empty((len(FEATURE_NAMES), len(codes)), dtype=np.float32)
    matrix[:4] = _ONE_HOT[codes].T
    logs = np.log1p(table)
    matrix[4:7] = logs
    gap = amount - origin
    matrix[7] = logs[0] - logs[1]
    matrix[8] = np.abs(gap) <= CENT
    matrix[8] *= (matrix[1] + matrix[3]) * (amount > CENT)  # types in `DRAINING`, amounts above 0
    matrix[9] = gap > CENT
    matrix[10] = origin == 0.0
    matrix[11] = destination == 0.0
    columns_first: Matrix = matrix.T
    return columns_first


def _of_one(kind: str, *money: float) -> Matrix:
    """The same for a single row in plain Python: for one row, the calls of numpy cost more."""
    if kind not in TYPE_CODES or not all(0.0 <= value < np.inf for value in money):
        return from_columns([kind], [[value] for value in money])  # raises with the right message
    amount, origin, destination = money
    logs = np.log1p(money).tolist()
    gap = amount - origin
    row = [
        *_ONE_HOT_ROWS[kind],
        *logs,
        logs[0] - logs[1],
        kind in DRAINING and abs(gap) <= CENT < amount,
        gap > CENT,
        origin == 0.0,
        destination == 0.0,
    ]
    return np.array([row], dtype=np.float32)
