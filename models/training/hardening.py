"""Frauds to train on as thieves would commit them who know the model, and honest look-alikes.

In the data, a thief takes the whole balance to the cent, and a model that learned nothing else is
evaded by leaving one unit. So each such fraud has copies that are changed as thieves change them,
and that together have a share of its weight. A model to which a share of the balance is a sign of
fraud would see it in payments that drain no account, too, of which the data have few as large. So
each copy has honest look-alikes: of the same sums, but of other types, or of nothing.

Only rows to learn from have copies: what a model is calibrated and judged on stays as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.artifact import Kind
from models.schema.features import Matrix
from models.schema.schema import Schema
from models.training.columns import Flags, Floats
from models.training.dataset import Labelled
from models.training.evasion import FIELDS, PARTS, WAYS, Payments, Way, drained, is_for, payments

EVASIVE: Final = 0.5
"""Thieves who know the model, to one who takes a whole balance.

An assumption, as those of `data.plan`: with more, more of them are caught, and more of the honest
payments that look like them are blocked (`python -m tests.benchmarks.frontier`)."""
LEAST_FRAUDS: Final = 200
"""Below, there are no copies by default: they would tell more of a handful of frauds than these can
say, and the calibration suffers (`tests/unit/models/training/test_periods.py`)."""
SEED: Final = 1
MOST_LEFT: Final = 0.4
"""Share of the balance that such a thief leaves at most."""
LEAST_LEFT: Final = 1e-4


def leaves_some(rows: Payments, rng: np.random.Generator) -> Payments:
    """Between nothing and `MOST_LEFT` of the balance is left, each share being as likely."""
    left = rng.uniform(0.0, MOST_LEFT, len(rows["amount"]))
    return {**rows, "amount": np.round(rows["oldbalanceOrg"] * (1.0 - left), 2)}


def leaves_little(rows: Payments, rng: np.random.Generator) -> Payments:
    """A ten-thousandth to a tenth of the balance is left, each order as likely."""
    left = np.exp(rng.uniform(np.log(LEAST_LEFT), np.log(0.1), len(rows["amount"])))
    return {**rows, "amount": np.round(rows["oldbalanceOrg"] * (1.0 - left), 2)}


LEARNED: Final[Mapping[str, Way]] = {
    "leaves some": leaves_some,
    "leaves little": leaves_little,
    **{
        name: WAYS[name]
        for name in (
            "leaves 1.00",
            "balances off by 0.1 %",
            "round amounts",
            PARTS,
            "receiver has a balance",
            "fee of 1 % out of the balance",
        )
    },
}
"""The ways to learn from, each of the same weight; all parts of one share it."""


HONEST: Final = ("PAYMENT", "DEBIT", "CASH_IN")
"""Types by which no account is drained: of each copy there is an honest one of each of them."""


class Hardening:
    """Changed copies of the frauds of a data set, for those of its rows that are learned from."""

    def __init__(
        self, data: Labelled, schema: Schema, kind: Kind, evasive: float = EVASIVE
    ) -> None:
        """`data` has what was read of its rows; `evasive` is a share, as `EVASIVE`.

        Schemas that `is_for` refuses have no copies, nor has a kind of model to which a share of
        the balance is only more or less of it.
        """
        known = is_for(schema) and kind == "gradient_boosting"
        self.told: dict[str, float] = {"evasive": evasive} if known else {}
        """What a card says of it."""
        self._copies = _copies(data, schema, evasive) if known and evasive else None

    def of(self, rows: Flags) -> Copies | None:
        """Return the copies of the frauds among these rows of the data, chosen by a mask."""
        if self._copies is None:
            return None
        here = rows[self._copies.of]
        of, fraud, weight, matrix = self._copies
        return Copies(of[here], fraud[here], weight[here], matrix[here])


class Copies(NamedTuple):
    """Changed frauds, and after them their look-alikes; all arrays have the same length."""

    of: NDArray[np.int64]
    """The row that each is a copy of."""
    fraud: Flags
    """False for look-alikes."""
    weight: Floats
    matrix: Matrix


def _copies(data: Labelled, schema: Schema, evasive: float) -> Copies:
    columns = payments(data)
    frauds = np.flatnonzero(data.fraud & drained(columns))
    thieves = {name: column[frauds] for name, column in columns.items()}
    rng = np.random.default_rng(SEED)
    made = [way(thieves, rng) for way in LEARNED.values()]
    whole = _joined(made)
    parts = [3 if name == PARTS else 1 for name in LEARNED]
    share = np.repeat([evasive / len(parts) / each for each in parts], parts)
    # The first parts of all frauds come before their second ones.
    of = np.tile(frauds, sum(parts))
    weight = np.outer(share, data.weight[frauds]).ravel()
    alike = [{**whole, "type": np.full(len(of), kind, object)} for kind in HONEST]
    nothing = np.zeros(len(of))
    alike.append({**whole, "amount": nothing, "oldbalanceOrg": nothing})
    count = 1 + len(alike)
    return Copies(
        np.tile(of, count),
        np.repeat([True, False], [len(of), len(of) * len(alike)]),
        np.tile(weight, count),
        schema.features.from_columns(_joined([whole, *alike])),
    )


def _joined(parts: Sequence[Payments]) -> Payments:
    return {name: np.concatenate([each[name] for each in parts]) for name in FIELDS}
