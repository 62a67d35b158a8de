"""A model of any schema is trained, saved and served like PaySim's."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from data.cards.generator import write_csv, write_json_lines
from data.cards.plan import Plan
from models import artifact
from models.errors import TrainingDataError
from models.schema.features import Features
from models.schema.reading import read
from models.schema.schema import PAYSIM, Schema, preset
from models.scorer import Scorer
from models.training.dataset import labelled
from models.training.evaluation import evaluate
from models.training.train import TrainedModel, train

pytestmark = pytest.mark.slow

CARDS = preset("cards")
OWN = """
name = "own"
[fields.transaction_id]
type = "text"
role = "id"
[fields.at]
type = "time"
format = "iso8601"
role = "time"
[fields.customer_id]
type = "text"
role = "sender"
[fields.terminal_id]
type = "text"
role = "receiver"
optional = true
[fields.amount]
type = "amount"
role = "amount"
[fields.is_fraud]
type = "flag"
role = "label"
default = false
[features]
log_amount = { log = "amount" }
terminal_rate = { rate = "terminal_id" }
customer_share = { frequency = "customer_id" }
hour = { hour_of_day = "at" }
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same card transactions as CSV and as JSON lines."""
    folder = tmp_path_factory.mktemp("cards")
    plan = Plan.for_rows(20_000, 60, seed=3)
    write_csv(plan, folder / "cards.csv")
    write_json_lines(plan, folder / "cards.jsonl")
    return folder


@pytest.fixture(scope="module")
def own() -> Schema:
    return Schema(read(OWN.encode(), "own.toml"))


@pytest.fixture(scope="module")
def trained(files: Path, own: Schema) -> TrainedModel:
    return train(files / "cards.csv", schema=own)


def saved(trained: TrainedModel, root: Path) -> Path:
    version = artifact.save(
        trained.model,
        root,
        created_at=datetime.now(timezone.utc),
        training=trained.training,
        metrics=trained.metrics,
    )
    return root / version


def messages(files: Path, schema: Schema, most: int = 500) -> list[Any]:
    lines = (files / "cards.jsonl").read_text().splitlines()[:most]
    return [schema.parser.parse(line.encode()) for line in lines]


def test_csv_and_json_lines_train_the_same_model(
    files: Path, own: Schema, trained: TrainedModel
) -> None:
    again = train(files / "cards.jsonl", schema=own)
    assert artifact.encode(again.model) == artifact.encode(trained.model)


def test_what_is_learned_is_in_the_file_and_serves(
    files: Path, own: Schema, trained: TrainedModel, tmp_path: Path
) -> None:
    assert set(trained.model.learned) == {"terminal_rate", "customer_share"}
    scorer = artifact.load(saved(trained, tmp_path), own)
    batch = messages(files, own)
    matrix = scorer.features.matrix(batch)
    assert np.isfinite(matrix).all()
    together = scorer.score(batch)
    assert together.tolist() == [float(scorer.score([each])[0]) for each in batch]
    body = trained.model.body.compiled(len(own.features.names))
    raw = body.log_odds(matrix)
    assert np.allclose(together, 1.0 / (1.0 + np.exp(-raw)))


def test_a_missing_text_is_scored(files: Path, own: Schema, trained: TrainedModel) -> None:
    scorer = Scorer(
        "own", trained.model.body.compiled(4), own, Features(own.definition, trained.model.learned)
    )
    (first, *_) = messages(files, own, 1)
    unknown = msgspec.structs.replace(first, terminal_id=None)
    assert np.isnan(scorer.features.matrix([unknown])).any()
    assert 0.0 <= float(scorer.score([unknown])[0]) <= 1.0
    (reasons,) = scorer.explain([unknown], [0])
    assert reasons
    assert all(reason.code and reason.text for reason in reasons)


def test_a_model_of_another_schema_is_refused_by_name(
    trained: TrainedModel, own: Schema, tmp_path: Path
) -> None:
    with pytest.raises(artifact.OtherFeatures, match=own.contract):
        artifact.load(saved(trained, tmp_path), PAYSIM)


def test_it_is_evaluated_with_what_it_has_learned(
    files: Path, own: Schema, trained: TrainedModel, tmp_path: Path
) -> None:
    scorer = artifact.load(saved(trained, tmp_path), own)
    report, rows, scores = evaluate(files / "cards.csv", scorer)
    assert report["frauds"] == int(rows.fraud.sum()) > 50
    assert len(scores) == len(rows.fraud)
    assert report["average_precision"] > 10 * report["fraud_rate"]
    assert "drain_rule_average_precision" not in report


def test_the_preset_for_cards_trains_on_the_generators_files(files: Path) -> None:
    trained = train(files / "cards.csv", "logistic", schema=CARDS)
    assert trained.model.feature_contract == CARDS.contract
    assert trained.metrics["average_precision"] > trained.metrics["fraud_rate"]


def test_days_and_hours_are_those_of_the_times(files: Path, own: Schema) -> None:
    rows = labelled(files / "cards.jsonl", schema=own)
    first = json.loads((files / "cards.jsonl").read_text().partition("\n")[0])
    moment = datetime.fromisoformat(first["at"].replace("Z", "+00:00"))
    assert rows.step[0] == int(moment.timestamp()) // 3_600 + 1
    assert (np.diff(rows.step) >= 0).all()


def test_a_schema_without_a_label_trains_nothing(files: Path) -> None:
    without = OWN.replace('role = "label"\n', "")
    schema = Schema(read(without.encode(), "own.toml"))
    with pytest.raises(TrainingDataError, match="no field with the role label"):
        train(files / "cards.csv", schema=schema)


@pytest.mark.parametrize(
    ("field", "line", "words"),
    [
        ("at", "x,,C1,T1,1,0", "line 101, row 100: at: invalid RFC3339 encoded datetime"),
        ("is_fraud", "x,2025-01-01T00:00:00Z,C1,T1,1,", "line 101, row 100: is_fraud: is empty"),
    ],
)
def test_a_row_without_time_or_label_cannot_be_trained_on(
    files: Path, tmp_path: Path, field: str, line: str, words: str
) -> None:
    loose = OWN.replace("default = false\n", "").replace(
        f"[fields.{field}]", f"[fields.{field}]\noptional = true"
    )
    path = tmp_path / "bad.csv"
    begin = (files / "cards.csv").read_text().splitlines()[:100]
    path.write_text("\n".join([*begin, line, ""]))
    with pytest.raises(TrainingDataError, match=words):
        labelled(path, schema=Schema(read(loose.encode(), "own.toml")))


def test_a_row_without_an_amount_is_trained_on_as_no_money(files: Path, tmp_path: Path) -> None:
    loose = OWN.replace("[fields.amount]", "[fields.amount]\noptional = true")
    path = tmp_path / "a.csv"
    begin = (files / "cards.csv").read_text().splitlines()[:100]
    path.write_text("\n".join([*begin, "x,2099-01-01T00:00:00Z,C1,T1,,0", ""]))
    rows = labelled(path, schema=Schema(read(loose.encode(), "own.toml")))
    assert rows.amount[-1] == 0.0
    assert np.isnan(rows.matrix[-1, 0])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x,2025-01-01T00:00:00Z,C1,T1,-1,0", "row 100: amount: expected `float` >= 0.0, got -1"),
        ("x,yesterday,C1,T1,1,0", "row 100: at: invalid RFC3339 encoded datetime, got 'yesterday'"),
        ("x,2025-01-01T00:00:00Z,C1,T1,1,2", "is_fraud"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_line(
    files: Path, own: Schema, tmp_path: Path, line: str, words: str
) -> None:
    begin = (files / "cards.csv").read_text().splitlines()[:100]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join([*begin, line, ""]))
    with pytest.raises(TrainingDataError, match=words) as caught:
        labelled(path, schema=own)
    assert "line 101" in str(caught.value)
