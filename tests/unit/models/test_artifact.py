"""A model file that does not match its name or is damaged is refused; loading runs no code."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import artifact
from models.artifact import CARD_FILE, MODEL_FILE, Model, ModelFileError
from models.ensemble import Trees
from models.linear import Linear
from models.schema.features import Matrix
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.train import TrainedModel, train
from tests.support.transactions import transaction
from tests.unit.models.conftest import scorer_of

FEATURE_CONTRACT, FEATURE_NAMES = PAYSIM.contract, PAYSIM.features.names


pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def save(model: Model, root: Path) -> Path:
    return root / artifact.save(
        model, root, created_at=NOW, training={"rows": 3}, metrics={"average_precision": 1.0}
    )


@pytest.fixture
def saved(small: TrainedModel, tmp_path: Path) -> Path:
    return save(small.model, tmp_path)


def scores(scorer: Scorer) -> list[float]:
    batch = [transaction(amount=10.0**power, oldbalanceOrg=1e4) for power in range(9)]
    found: list[float] = scorer.score(batch).tolist()
    return found


def test_a_model_scores_the_same_after_saving_and_loading(small: TrainedModel, saved: Path) -> None:
    loaded = artifact.load(saved)
    assert loaded.version == saved.name
    assert scores(loaded) == scores(scorer_of(small))


def test_the_card_tells_where_the_model_comes_from(small: TrainedModel, saved: Path) -> None:
    card = artifact.load_card(saved)
    assert (card.version, card.kind) == (saved.name, small.model.kind)
    assert card.created_at == "2026-01-02T03:04:05+00:00"
    assert card.features == list(FEATURE_NAMES)
    assert card.training == {"rows": 3}


def test_the_same_model_has_the_same_version_and_is_kept_once(
    small: TrainedModel, saved: Path
) -> None:
    before = (saved / CARD_FILE).stat().st_mtime_ns
    assert save(small.model, saved.parent) == saved
    assert (saved / CARD_FILE).stat().st_mtime_ns == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_model_that_is_trained_again_has_the_card_of_its_last_training(
    small: TrainedModel, saved: Path
) -> None:
    content = (saved / MODEL_FILE).read_bytes()
    artifact.save(small.model, saved.parent, created_at=NOW, training={"rows": 4}, metrics={})
    assert artifact.load_card(saved).training == {"rows": 4}
    assert (saved / MODEL_FILE).read_bytes() == content
    assert {path.name for path in saved.iterdir()} == {MODEL_FILE, CARD_FILE}


@given(data=st.data())
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_changed_byte_is_ever_loaded(saved: Path, data: st.DataObject) -> None:
    path = saved / MODEL_FILE
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    path.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    try:
        with pytest.raises(ModelFileError):
            artifact.load(saved)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"{}", b"[" * 100_000])
def test_what_is_no_model_is_refused_even_under_the_right_name(
    tmp_path: Path, content: bytes
) -> None:
    directory = tmp_path / artifact.version_of(content, "logistic")
    directory.mkdir()
    (directory / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelFileError, match="not a model file"):
        artifact.load(directory)


def test_a_cut_file_is_refused(saved: Path) -> None:
    content = (saved / MODEL_FILE).read_bytes()
    (saved / MODEL_FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFileError, match="changed or damaged"):
        artifact.load(saved)


def test_a_renamed_directory_is_refused(saved: Path) -> None:
    with pytest.raises(ModelFileError, match="changed or damaged"):
        artifact.load(saved.rename(saved.with_name("gradient_boosting-0000000000000000")))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="train"):
        artifact.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"feature_contract": "something-else/9"}, f"computes '{FEATURE_CONTRACT}'"),
        ({"features": [*FEATURE_NAMES[1:], FEATURE_NAMES[0]]}, "another order: is_cash_out, is_d"),
        ({"features": [*FEATURE_NAMES, "hour"]}, "other features .* hour;"),
    ],
)
def test_a_model_of_other_features_is_refused_even_if_intact(
    small: TrainedModel, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    other = save(msgspec.structs.replace(small.model, **change), tmp_path)
    with pytest.raises(ModelFileError, match=told):
        artifact.load(other)


def test_an_intact_model_with_impossible_numbers_is_refused(
    small: TrainedModel, tmp_path: Path
) -> None:
    body = small.model.body
    empty: dict[str, list[float]] = {
        name: [] for name in body.__struct_fields__ if isinstance(getattr(body, name), list)
    }
    nonsense = msgspec.structs.replace(small.model, body=msgspec.structs.replace(body, **empty))
    with pytest.raises(ModelFileError, match="holds an unusable model"):
        artifact.load(save(nonsense, tmp_path))


@pytest.fixture(scope="module")
def boosted(small_frame: pd.DataFrame) -> Model:
    return train(small_frame.iloc[::4], "gradient_boosting").model


@pytest.mark.parametrize("value", [1e308, -1e308, 1e31, 1e-308])
@pytest.mark.parametrize("field", ["base", "leaf", "cover", "threshold"])
def test_a_model_of_trees_scores_finitely_or_is_refused(
    tmp_path: Path, boosted: Model, field: str, value: float
) -> None:
    model = boosted
    body = msgspec.to_builtins(model.body)
    if field == "base":
        body["base"] = value
    else:
        body[field] = [[value] * len(row) for row in body[field]]
    odd = msgspec.structs.replace(model, body=msgspec.convert(body, Trees))
    _finite_or_refused(odd, tmp_path)


@pytest.mark.parametrize("value", [1e308, -1e308, 1e31, 1e-308])
@pytest.mark.parametrize("field", ["expected", "weight", "mean"])
def test_a_linear_model_scores_finitely_or_is_refused(
    tmp_path: Path, field: str, value: float
) -> None:
    numbers = [1.0] * len(FEATURE_NAMES)
    body = Linear(expected=0.0, weight=numbers, mean=numbers)
    put = value if field == "expected" else [value, *numbers[1:]]
    body = msgspec.structs.replace(body, **{field: put})
    _finite_or_refused(Model("logistic", FEATURE_CONTRACT, list(FEATURE_NAMES), body), tmp_path)


def _finite_or_refused(model: Model, root: Path) -> None:
    saved = save(model, root)
    refused = ""
    try:
        scorer = artifact.load(saved)
    except ModelFileError as error:
        refused = str(error)
    if refused:
        assert str(saved) in refused
        assert "train it again, or activate another" in refused
        return
    batch = [
        transaction(type=kind, amount=10.0**power, oldbalanceOrg=10.0**other)
        for kind in ("TRANSFER", "PAYMENT")
        for power in range(-2, 16)
        for other in range(-2, 16, 3)
    ]
    assert np.isfinite(scorer.score(batch)).all()
    reasons = scorer.explain(batch, range(len(batch)))
    assert np.isfinite([each.contribution for row in reasons for each in row]).all()


def test_a_score_that_is_not_finite_is_found_by_the_probe_whatever_the_kind() -> None:
    class Odd:
        expected = 0.0

        def log_odds(self, matrix: Matrix) -> NDArray[np.float64]:
            return np.where(matrix[:, 2] == 1.0, np.nan, 0.0)  # only of a DEBIT

        def contributions(self, matrix: Matrix) -> NDArray[np.float64]:
            return np.zeros(matrix.shape)

    with pytest.raises(ValueError, match="no finite score"):
        artifact.probe(Odd())


def test_saving_again_replaces_a_damaged_directory(small: TrainedModel, saved: Path) -> None:
    for name in (MODEL_FILE, CARD_FILE):
        (saved / name).write_bytes(b"{")
        assert save(small.model, saved.parent) == saved
        artifact.load(saved)
        artifact.load_card(saved)
    (saved / MODEL_FILE).unlink()
    (saved / MODEL_FILE).mkdir()
    assert save(small.model, saved.parent) == saved
    artifact.load(saved)


def test_a_card_nested_without_end_is_refused(saved: Path) -> None:
    card = json.loads((saved / CARD_FILE).read_text())
    text = json.dumps({**card, "training": {"x": 0}}).replace('"x": 0', '"x": ' + "[" * 100_000)
    (saved / CARD_FILE).write_text(text)
    with pytest.raises(ModelFileError, match="not a model card"):
        artifact.load_card(saved)


def test_a_pickle_in_its_place_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(trace), "w")

    content = pickle.dumps(Bomb())
    directory = tmp_path / artifact.version_of(content, "logistic")
    directory.mkdir()
    (directory / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelFileError):
        artifact.load(directory)
    assert not trace.exists()


def test_a_failed_save_leaves_nothing_behind(
    small: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save(small.model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_scores_survive_as_text_to_the_last_bit(small: TrainedModel) -> None:
    again = msgspec.json.decode(artifact.encode(small.model), type=Model)
    assert again == small.model
    assert np.isfinite(scores(Scorer("x", again.body.compiled(len(FEATURE_NAMES))))).all()
