"""Honest mistakes in labelled data that no reader of a row can see: each is told in a sentence.

None of them is certain, so that nothing is refused. A sentence says what was seen, and what to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.characters import legible
from models.schema.definition import Definition, operation
from models.schema.schema import Schema
from models.training import learning
from models.training.columns import Flags
from models.training.dataset import Labelled
from models.training.reading import identifying, needed
from models.training.row_sketch import digests, share_seen

TWICE_SHARE: Final = 0.01
"""Share of the rows; fewer are equal by chance where fields are few and amounts are round."""
SEEN_SHARE: Final = 0.05
"""Share of the rows to evaluate on that a model may know: metrics hardly move with fewer."""
FACTORS: Final = (100.0, 1000.0)
"""Between units in use: cents and whole units; currencies with a thousand parts, or thousands."""
MANY: Final = 10
"""Rows, and how many times more than by chance."""
PERFECT: Final = 0.999
"""Area under the ROC curve of a feature alone, above what is known before a decision."""
FRAUDS: Final = 20
"""Frauds, and others, of which a feature alone can be said to tell them apart."""

_MIXING: Final = np.uint64(0x9E3779B97F4A7C15)
"""An odd number with bits of both kinds everywhere: 64-bit hashes are mixed by it (2^64 / golden
ratio, Knuth: "The Art of Computer Programming" 3, 6.4)."""
_COMPARING: Final = ("ratio", "difference", "equal", "exceeds")
_TESTS: Final = ("equal", "exceeds")
"""Operations whose result is no field's content, so that it is no copy of the label."""


def of_training(data: Labelled, schema: Schema) -> list[str]:
    """Return a sentence for each mistake that rows to train on show."""
    definition = schema.definition
    return [
        *inverted(data),
        *sampled(data, schema),
        *other_units(data, definition),
        *repeated_rows(data, schema),
        *constant_fields(data, schema),
        *equal_fields(data, schema),
        *leaks(data, definition),
    ]


def of_evaluation(
    data: Labelled, schema: Schema, training: Mapping[str, Any], sha256: str | None
) -> list[str]:
    """Return a sentence for each mistake that rows to evaluate on show.

    `training` is that of the model's card, and `sha256` that of the file, if it is a file.
    """
    return [
        *inverted(data),
        *sampled(data, schema),
        *other_units(data, schema.definition),
        *repeated_rows(data, schema),
        *trained_on(data, schema, training, sha256),
    ]


def inverted(data: Labelled) -> Iterator[str]:
    """Tell if more than half of the transactions are fraud."""
    share = float(data.weight[data.fraud].sum() / data.weight.sum())
    if share > 0.5:
        yield (
            f"{share:.1%} of the transactions are labelled as fraud, as if labels were inverted; "
            "1 (or true) must stand for fraud, and where the data are a sample, --weight-legit "
            "must say how many transactions each other row stands for"
        )


def sampled(data: Labelled, schema: Schema) -> Iterator[str]:
    """Tell if profiles are made of a sample of the transactions."""
    weight = data.weight[~data.fraud]
    if schema.remembering and len(weight) and float(np.median(weight)) > 1.0:
        yield (
            "legitimate rows stand for several transactions each, and profiles are made of the "
            "rows that are there: accounts did less than they will in service, and more of it was "
            "fraud; use all transactions of a period"
        )


def other_units(data: Labelled, definition: Definition) -> Iterator[str]:
    """Tell if two amounts that a feature compares are equal only if one is multiplied.

    Where amounts are compared, they are now and then equal: fraud takes all that there is. How
    often they are by chance is seen when amounts of different rows are compared.
    """
    rows = len(data.fraud)
    for one, other in _compared(definition, data.fields):
        for small, large in ((one, other), (other, one)):
            equal = partial(_equal, data, definition, small, large)
            plainly = equal(1.0)
            for factor in FACTORS:
                found = equal(factor)
                chance = max(equal(factor, away) for away in (rows // 3, rows // 2))
                if found >= MANY and found > MANY * max(plainly, chance):
                    yield (
                        f"{large} is exactly {factor:g} times {small} in {found:,} rows, and equal "
                        f"to it in {plainly:,}, as if they had other units, such as cents and "
                        "whole units; write both in the same unit"
                    )


def _compared(definition: Definition, given: Collection[str]) -> dict[tuple[str, str], None]:
    return dict.fromkeys(
        (fields[0], fields[1])
        for kind, fields in map(operation, definition.features.values())
        if kind in _COMPARING
        and all(each in given and definition.fields[each].type == "amount" for each in fields)
    )


def _equal(
    data: Labelled, definition: Definition, small: str, large: str, factor: float, away: int = 0
) -> int:
    """Count the rows in which small * factor is the amount `large` of as many rows away."""
    unit = definition.fields[large].unit or 0.01
    scaled = np.rint(data.fields[small] * factor / unit)
    found = scaled == np.rint(np.roll(data.fields[large], away) / unit)
    return int((found & (scaled > 0)).sum())


def repeated_rows(data: Labelled, schema: Schema) -> Iterator[str]:
    """Tell if rows are there more than once, or if their ids are."""
    keys = {name: each for name, each in data.fields.items() if name in identifying(schema)}
    ids = keys.pop(schema.definition.role("id") or "", None)
    whole = digests(data, schema)
    for each in keys.values():
        whole = whole * _MIXING + each.astype(np.uint64)
    again = _repeated(whole)
    advice = (
        "remove the copies: the model has seen those of later periods already, so that the metrics "
        "promise too much"
    )
    if again > TWICE_SHARE * len(data.fraud):
        yield (
            f"{again:,} of {len(data.fraud):,} rows are equal to another in all that is read of "
            f"them; if they are the same transactions, {advice}"
        )
    elif ids is not None and (again := _repeated(ids[ids != 0])):
        yield f"{again:,} of {len(data.fraud):,} rows have an id that another row has; {advice}"


def _repeated(numbers: NDArray[Any]) -> int:
    """Count those that are equal to an earlier one; by sorting, which takes one copy of them."""
    return len(numbers) - len(np.unique(numbers))


def constant_fields(data: Labelled, schema: Schema) -> Iterator[str]:
    """Tell of the fields of features which have the same value in every row.

    Those that are missing in all rows are left out, since a schema may have more than a file.
    """
    for name, column in _of_features(data, schema).items():
        if _constant(column) and not pd.isna(column[0]):
            value = legible(str(column[0]))
            yield (
                f"{name} is {value} in every row, so that nothing can be learned from it; check "
                "how the data were selected, or leave its features out of the schema"
            )


def equal_fields(data: Labelled, schema: Schema) -> Iterator[str]:
    """Tell of fields of features which are equal to each other in every row."""
    columns = [(n, c) for n, c in _of_features(data, schema).items() if not _constant(c)]
    for at, (name, column) in enumerate(columns):
        for other, another in columns[:at]:
            if column.dtype == another.dtype and pd.Series(column).equals(pd.Series(another)):
                yield (
                    f"{other} and {name} are equal in every row, as if a column had been copied; "
                    "check how the data were exported"
                )


def leaks(data: Labelled, definition: Definition) -> Iterator[str]:
    """Tell of features which alone tell fraud from all else, as only the label itself does."""
    if min(int(data.fraud.sum()), int((~data.fraud).sum())) < FRAUDS:
        return
    matrix = data.matrix
    if learning.learned_features(definition):
        numbers = learning.out_of_fold(definition, data.texts, data.fraud, data.weight)
        matrix = learning.filled(definition, matrix, numbers)
    for (name, feature), column in zip(definition.features.items(), matrix.T, strict=True):
        kind, fields = operation(feature)
        area = _area(column, data.fraud)
        if kind not in _TESTS and max(area, 1.0 - area) > PERFECT:
            yield (
                f"the feature {name} alone tells fraud from all else, as if {' and '.join(fields)} "
                "were made from the label; leave out of the schema what is not known yet when a "
                "transaction is decided"
            )


def trained_on(
    data: Labelled, schema: Schema, training: Mapping[str, Any], sha256: str | None
) -> Iterator[str]:
    """Tell if the model was trained on these rows, or on some of them."""
    advice = "so that the metrics say how well it remembers them; judge it on transactions of later"
    if sha256 == training.get("data_sha256", "") and "days" not in training:
        yield f"the model was trained on this very file, {advice}"
        return
    share = share_seen(digests(data, schema), training.get("row_sketch"))
    if share >= SEEN_SHARE:
        yield f"the model was trained on about {share:.0%} of these rows, {advice}"


def _of_features(data: Labelled, schema: Schema) -> dict[str, NDArray[Any]]:
    used = schema.features.fields
    return {
        name: data.fields[name] for name in needed(schema) if name in used and name in data.fields
    }


def _constant(column: NDArray[Any]) -> bool:
    missing = pd.isna(column)
    return bool(missing.all() or not (missing.any() or (column != column[0]).any()))


def _area(column: NDArray[np.float32], fraud: Flags) -> float:
    """Return the area under the ROC curve; a missing value counts as the smallest."""
    values = np.nan_to_num(column, nan=-np.inf, neginf=None)
    others = np.sort(values[~fraud])
    below = np.searchsorted(others, values[fraud], "left")
    not_above = np.searchsorted(others, values[fraud], "right")
    return float((below + not_above).mean() / 2.0 / len(others))
