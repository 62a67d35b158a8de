"""Files of a schema that remembers accounts are replayed: training sees what serving would see."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.cards.generator import generate, write_csv
from data.cards.plan import Plan
from models.errors import TrainingDataError
from models.profiles.memory import ProfileMemory
from models.profiles.windows import DAY, HOUR, MINUTES
from models.schema.features import Matrix
from models.schema.reading import read
from models.schema.schema import Schema
from models.scorer import Scorer
from models.training.dataset import labelled
from models.training.evaluation import evaluate
from models.training.remembered import Remembered, warmed_up
from models.training.train import TrainedModel, train
from tests.support.remembered import SCHEMA

FEATURES = """
log_sent = { log = "sent" }
ratio = { ratio = ["amount", "usual"] }
places_ = { number = "places" }
waited_ = { log = "waited" }
risk_ = { number = "risk" }
frauds_ = { number = "frauds" }
terminal_rate = { rate = "terminal_id" }
"""
HOURLY = """
name = "hourly"
[fields.transaction_id]
type = "text"
role = "id"
[fields.hour]
type = "time"
format = "hour"
role = "time"
[fields.account]
type = "text"
role = "sender"
[fields.is_fraud]
type = "flag"
role = "label"
[profile]
before = "count(sender, 2h)"
frauds = "frauds(sender, 24h)"
[features]
before_ = { number = "before" }
frauds_ = { number = "frauds" }
"""
PLAN = Plan(seed=5, customers=60, terminals=60, radius=40.0, days=24)


@pytest.fixture(scope="module")
def shop() -> Schema:
    return Schema(read((SCHEMA + FEATURES).encode(), "shop.toml"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "cards.csv"
    write_csv(PLAN, path)
    return path


@pytest.fixture(scope="module")
def trained(file: Path, shop: Schema) -> TrainedModel:
    return train(file, schema=shop, label_delay=2 * DAY)


def messages(schema: Schema) -> Iterator[Any]:
    for row in generate(PLAN):
        yield schema.parser.from_mapping(
            {
                "transaction_id": row.transaction_id,
                "at": row.at.isoformat(),
                "customer_id": row.customer_id,
                "terminal_id": row.terminal_id,
                "amount": row.amount,
                "is_fraud": int(row.is_fraud),
            }
        )


def served(schema: Schema, delay: int) -> Matrix:
    """The features as a worker computes them that decides each transaction at its own time."""
    remembering = schema.remembering
    assert remembering is not None
    memory = ProfileMemory(remembering, lambda keys: [None] * len(keys))
    waiting: list[tuple[int, Any]] = []
    rows: list[Any] = []
    for each in messages(schema):
        second = int(each.at.timestamp())
        while waiting and waiting[0][0] + delay <= second - second % MINUTES:
            of, fraud = waiting.pop(0)
            memory.add_frauds(remembering.events([fraud], of), [1])
        events = remembering.events([each], second)
        (values,) = memory.read(events).tolist()
        memory.settle(events)
        rows += schema.with_profiles([each], [remembering.known(values)])
        if each.is_fraud:
            waiting.append((second, each))
    return schema.features.matrix(rows)


def frame(rows: Sequence[tuple[int, str, bool]]) -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame(rows, columns=["hour", "account", "is_fraud"])
    return made


@pytest.mark.parametrize("delay", [HOUR, 2 * DAY])
def test_features_are_those_that_serving_computes(file: Path, shop: Schema, delay: int) -> None:
    found = labelled(file, schema=shop, label_delay=delay)
    assert np.array_equal(found.matrix, served(shop, delay), equal_nan=True)
    assert np.nanmax(found.matrix[:, shop.features.names.index("frauds_")]) > 1.0


def test_several_files_in_any_order_are_one_data_set(
    file: Path, shop: Schema, tmp_path: Path
) -> None:
    head, *lines = file.read_text().splitlines()
    halves = tmp_path / "late.csv", tmp_path / "early.csv"
    middle = len(lines) // 2
    for path, part in zip(halves, (lines[middle:], lines[:middle]), strict=True):
        path.write_text("\n".join([head, *part, ""]))
    whole, parts = labelled(file, schema=shop), labelled(halves, schema=shop)
    assert np.array_equal(whole.step, parts.step)
    # Rows of the same hour may be in another order where the files meet.
    inside = whole.step != whole.step[middle]
    assert np.array_equal(whole.matrix[inside], parts.matrix[inside], equal_nan=True)


def test_an_hour_number_is_an_hour_since_1970() -> None:
    schema = Schema(read(HOURLY.encode(), "hourly.toml"))
    given = [(1, "a", True), (2, "a", False), (3, "a", False), (4, "b", False), (30, "a", False)]
    found = labelled(frame(given), schema=schema, label_delay=2 * HOUR)
    assert found.matrix.tolist() == [[0, 0], [1, 0], [2, 1], [0, 0], [0, 0]]


def test_a_sample_of_the_rows_is_warned_of(file: Path, shop: Schema) -> None:
    warnings: list[str] = []
    options: Any = {"kind": "logistic", "schema": shop, "warn": warnings.append}
    options["label_delay"] = DAY
    train(file, weight_legit=3.0, **options)
    (sentence,) = warnings
    assert "profiles are made of the rows that are there" in sentence
    warnings.clear()
    train(file, **options)
    assert not warnings


def test_a_schema_without_times_cannot_be_replayed(file: Path) -> None:
    timeless = SCHEMA.replace('role = "time"\n', "") + FEATURES
    schema = Schema(read(timeless.encode(), "shop.toml"))
    with pytest.raises(TrainingDataError, match="has a \\[profile\\], and no field with the role"):
        labelled(file, schema=schema)


def test_a_row_without_a_time_has_no_place_in_the_past() -> None:
    optional = SCHEMA.replace('role = "time"\n', 'role = "time"\noptional = true\n')
    schema = Schema(read(optional.encode(), "shop.toml"))
    given = {"transaction_id": "1", "customer_id": "a", "amount": 1.0}
    with pytest.raises(ValueError, match="at is missing in a row"):
        Remembered(schema).add([schema.parser.from_mapping(given)], [False])


def test_the_first_rows_only_warm_up_the_profiles(trained: TrainedModel, shop: Schema) -> None:
    told = trained.training["warm_up"]
    whole = sum(1 for _ in generate(PLAN))
    # A third of 24 days, since profiles reach back for more.
    assert told["before_step"] - 1 - DAY * 20_089 // HOUR in range(24 * 8 - 24, 24 * 8 + 1)
    assert 0.25 * whole < told["rows"] < 0.4 * whole
    assert trained.training["rows"] == whole - told["rows"]
    assert trained.training["label_delay"] == 2 * DAY
    assert trained.training["steps"][0] >= told["before_step"]


def test_warming_up_lasts_as_long_as_profiles_reach_back(shop: Schema) -> None:
    step = np.arange(1, 24 * 365)
    assert warmed_up(shop, step) == 1 + 30 * 24
    assert warmed_up(shop, step[:72]) == 1 + 24
    without = SCHEMA[: SCHEMA.index("[profile]")] + SCHEMA[SCHEMA.index("[features]") :]
    assert warmed_up(Schema(read(without.encode(), "shop.toml")), step) == 1


def test_what_is_judged_has_a_past(file: Path, shop: Schema, trained: TrainedModel) -> None:
    names = len(shop.features.names)
    scorer = Scorer("shop", trained.model.body.compiled(names), shop)
    report, rows, scores = evaluate(file, scorer, label_delay=2 * DAY)
    assert report["warm_up_rows"] == trained.training["warm_up"]["rows"]
    assert len(scores) == len(rows.fraud) == trained.training["rows"]
    assert math.isfinite(report["average_precision"])
