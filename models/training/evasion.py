"""How a model judges thieves who know what it looks at, and honest clients who look like thieves.

PaySim's thief takes the whole balance to the cent. A thief who leaves a little of it does the same
harm, so each fraud of that kind is changed in ways that cost the thief next to nothing, and judged
again. So is each honest sender of money, as if it emptied the account. The ways are about PaySim's
fields: for other schemas there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from models.schema.schema import PAYSIM, Schema
from models.scorer import Scorer
from models.training.columns import Column, Flags, Floats
from models.training.dataset import Labelled
from models.training.metrics import THRESHOLDS

FIELDS: Final = ("type", "amount", "oldbalanceOrg", "oldbalanceDest")
"""What the ways change, and what a model sees that can be asked about them."""
LIMIT: Final = 10_000_000.0
"""PaySim's largest fraud: of a richer account, the thief leaves the rest."""
SEED: Final = 1
"""Of the noise: the same rows give the same table."""
CHUNK: Final = 20_000
"""Rows scored at a time, which bounds memory."""

PARTS: Final = "three equal parts"
"""The one way of `WAYS` that makes more than one payment of a fraud: first parts come first."""
_DRAINING: Final = ("TRANSFER", "CASH_OUT")
_NOISE: Final = 0.001
_MULE: Final = (0.6, 50_000.0)
"""Shape and scale of the Weibull distribution of ordinary balances: see `data.shapes`."""
_FEE: Final = 0.01
_ROUND: Final = 1_000.0

Payments = Mapping[str, Column]
"""Columns of `FIELDS`, all of the same length."""
Way = Callable[[Payments, np.random.Generator], Payments]


class Judged(NamedTuple):
    """One line of the table."""

    way: str
    rows: int
    """Payments made that way."""
    blocked: float
    """Share of them from the threshold on: recall of frauds; of honest payments, harm done."""


def is_for(schema: Schema) -> bool:
    """Whether models of a schema can be asked: PaySim's fields, and features of `FIELDS` alone.

    Features that training learns of texts are for others.
    """
    features = schema.features
    is_known = {*features.fields} <= {*FIELDS} and not features.learned
    return schema.has_fields_of(PAYSIM) and is_known


def payments(data: Labelled) -> Payments:
    """Return the columns of rows that have what was read of them; raises `KeyError`."""
    return {name: data.fields[name] for name in FIELDS}


def drained(columns: Payments) -> Flags:
    """Return which payments are a TRANSFER or CASH_OUT of the sender's whole balance."""
    drains: Flags = _sends(columns) & (columns["amount"] == columns["oldbalanceOrg"])
    return drains


def evasion(
    columns: Payments, fraud: Flags, scorer: Scorer, block_at: float = THRESHOLDS["block"]
) -> list[Judged]:
    """Return how many payments of each way are blocked, for ways that a payment was found for.

    `fraud` says which rows of `columns` are fraud; `scorer` is of a schema that `is_for` accepts.
    """
    found = []
    for way, made in variants(columns, fraud):
        scores = _scores(made, scorer)
        if len(scores):
            found.append(Judged(way, len(scores), float((scores >= block_at).mean())))
    return found


def as_builtins(table: list[Judged]) -> list[dict[str, Any]]:
    """Return a table as JSON has it, on cards and in reports."""
    return [each._asdict() for each in table]


def variants(columns: Payments, fraud: Flags) -> Iterator[tuple[str, Payments]]:
    """Yield the name of each way, and the payments that are made that way."""
    sends, drains = _sends(columns), drained(columns)
    thieves = _at(columns, fraud & drains)
    for name, way in WAYS.items():
        yield name, way(thieves, np.random.default_rng(SEED))
    capped = (columns["amount"] == LIMIT) & (columns["oldbalanceOrg"] > LIMIT)
    yield "takes 10,000,000 of more", _at(columns, fraud & sends & capped)
    yield "honest: empties the account", _at(columns, ~fraud & drains)
    yield "honest: as if it emptied the account", takes(1.0)(_at(columns, ~fraud & sends), _NONE)


def takes(share: float) -> Way:
    """Return the way of a thief who takes this share of the balance."""
    return lambda rows, rng: {**rows, "amount": _cents(rows["oldbalanceOrg"] * share)}


def leaves_one(rows: Payments, rng: np.random.Generator) -> Payments:
    """One unit of the currency is left in the account."""
    return {**rows, "amount": np.maximum(_cents(rows["oldbalanceOrg"] - 1.0), 0.0)}


def rounds(rows: Payments, rng: np.random.Generator) -> Payments:
    """The amount is round: whole thousands, or whole units where there are none."""
    amount, thousands = rows["amount"], np.floor(rows["amount"] / _ROUND) * _ROUND
    return {**rows, "amount": np.where(thousands > 0.0, thousands, np.floor(amount))}


def noisy(rows: Payments, rng: np.random.Generator) -> Payments:
    """Both balances are out of date by up to a thousandth, the amount being what it was."""
    count = len(rows["amount"])
    return {**rows} | {
        name: _cents(rows[name] * (1.0 + rng.uniform(-_NOISE, _NOISE, count)))
        for name in ("oldbalanceOrg", "oldbalanceDest")
    }


def splits(rows: Payments, rng: np.random.Generator) -> Payments:
    """Three payments of a third each, one after the other."""
    balance = rows["oldbalanceOrg"]
    part = _cents(balance / 3.0)
    left = _cents(balance - part), _cents(balance - 2.0 * part)
    parts = (
        {**rows, "amount": part},
        {**rows, "amount": part, "oldbalanceOrg": left[0]},
        {**rows, "amount": left[1], "oldbalanceOrg": left[1]},
    )
    return {name: np.concatenate([each[name] for each in parts]) for name in rows}


def populated(rows: Payments, rng: np.random.Generator) -> Payments:
    """The receiver's account, where it was empty, holds what an ordinary one does."""
    shape, scale = _MULE
    held = _cents(scale * rng.weibull(shape, len(rows["amount"]))) + 0.01
    empty = rows["oldbalanceDest"] == 0.0
    return {**rows, "oldbalanceDest": np.where(empty, held, rows["oldbalanceDest"])}


def pays_fee(rows: Payments, rng: np.random.Generator) -> Payments:
    """A fee of 1 % is paid out of the balance."""
    return {**rows, "amount": _cents(rows["amount"] / (1.0 + _FEE))}


def adds_fee(rows: Payments, rng: np.random.Generator) -> Payments:
    """A fee of 1 % is part of the amount, which thus exceeds the balance."""
    return {**rows, "amount": _cents(rows["amount"] * (1.0 + _FEE))}


WAYS: Final[Mapping[str, Way]] = {
    "takes everything": lambda rows, rng: rows,
    "takes 99.9 %": takes(0.999),
    "takes 95 %": takes(0.95),
    "takes 90 %": takes(0.90),
    "takes 70 %": takes(0.70),
    "leaves 1.00": leaves_one,
    "balances off by 0.1 %": noisy,
    "round amounts": rounds,
    PARTS: splits,
    "receiver has a balance": populated,
    "fee of 1 % out of the balance": pays_fee,
    "fee of 1 % on top": adds_fee,
}
"""By name, what thieves do of whom it is known that they took everything."""

_NONE: Final = np.random.default_rng(SEED)


def _sends(columns: Payments) -> Flags:
    sends: Flags = np.isin(columns["type"].astype(str), _DRAINING)
    sends &= columns["oldbalanceOrg"] > 0.0
    return sends


def _scores(rows: Payments, scorer: Scorer) -> Floats:
    starts = range(0, len(rows["amount"]), CHUNK)
    chunks = ({name: each[at : at + CHUNK] for name, each in rows.items()} for at in starts)
    made = [scorer.score_matrix(scorer.features.from_columns(chunk)) for chunk in chunks]
    return np.concatenate(made) if made else np.empty(0)


def _at(columns: Payments, rows: Flags) -> Payments:
    return {name: each[rows] for name, each in columns.items()}


def _cents(amounts: Floats) -> Floats:
    rounded: Floats = np.round(amounts, 2)
    return rounded
