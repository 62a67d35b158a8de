"""The rows that learners are compared on, each world with rows to train on and to judge on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from msgspec import structs

from data.cards.generator import write_csv
from data.cards.plan import Plan as Cards
from data.generator import Row, generate
from data.plan import Plan
from models.schema.schema import PAYSIM, Schema, preset
from models.training import learning
from models.training.chosen_periods import periods_of
from models.training.dataset import Labelled, labelled
from models.training.days import Days

DAYS: Final = Days(train=28, gap=7, test=7)
FIRST: Final = 20
"""Seed of the first world; another draw to judge on has a seed that is higher by `APART`."""
APART: Final = 100


class World(NamedTuple):
    """Rows to train on, and others to judge on, with what was learned of their texts."""

    schema: Schema
    train: Labelled
    test: Labelled


def paysim(number: int) -> World:
    """Return a draw of the generator, and another one."""
    rows = [generate(Plan(seed=FIRST + number + more)) for more in (0, APART)]
    one, other = (labelled(pd.DataFrame(each, columns=list(Row._fields))) for each in rows)
    return World(PAYSIM, one, other)


def cards(number: int) -> World:
    """Return two periods of card payments, with what was remembered at each payment."""
    schema = preset("cards")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cards.csv"
        write_csv(replace(Cards(), seed=FIRST + number), file)
        data = labelled(file, schema=schema)
    parts = periods_of(data, structs.replace(DAYS, test_from=DAYS.test_span(data.step).first))
    train, test = data.at(parts.learn), data.at(parts.test)
    definition, given = schema.definition, (train.texts, train.fraud, train.weight)
    known = learning.learn(definition, *given)
    seen = learning.out_of_fold(definition, *given)
    later = learning.looked_up(definition, known, test.texts)
    matrices = [
        learning.filled(definition, train.matrix, seen),
        learning.filled(definition, test.matrix, later),
    ]
    never = np.isnan(matrices[0]).all(axis=0)
    for each in matrices:
        each[:, never] = 0.0  # not every learner takes a column without a value
    return World(schema, train._replace(matrix=matrices[0]), test._replace(matrix=matrices[1]))


WORLDS: Final[Mapping[str, Callable[[int], World]]] = {"paysim": paysim, "cards": cards}
