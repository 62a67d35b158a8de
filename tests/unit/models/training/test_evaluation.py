"""An evaluation writes the metrics that checks and people rely on, and plots of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from models.errors import TrainingDataError
from models.scorer import Scorer
from models.training.evaluation import REPORT_FILE, evaluate
from models.training.plots import PlotsUnavailable, save_plots

pytestmark = pytest.mark.slow

NAMES = {
    "average_precision",
    "precision_block",
    "recall_block",
    "sum_p_over_sum_y",
    "drain_rule_average_precision",
    "fraud_rate",
    "recall_at_precision_90",
    "recall_at_precision_99",
    "precision_at_100_a_day",
    "precision_flag",
    "recall_flag",
    "brier",
    "money_blocked",
    "money_missed",
    "money_wrongly_held",
}


def test_the_report_is_written_as_json(
    scorer: Scorer, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    report, rows, scores = evaluate(small_frame, scorer, out=tmp_path / "new")
    written = json.loads((tmp_path / "new" / REPORT_FILE).read_text())
    assert written == json.loads(json.dumps(report))
    assert set(written) >= NAMES
    assert len(scores) == len(rows.fraud) == len(small_frame)
    assert written["average_precision"] > 0.9
    assert written["model_version"] == scorer.version


def test_scores_are_the_scorers_whatever_the_chunks(
    scorer: Scorer, small_frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows, whole = evaluate(small_frame, scorer)
    monkeypatch.setattr("models.training.evaluation.CHUNK", 777)
    assert (evaluate(small_frame, scorer)[2] == whole).all()
    assert (scorer.score_matrix(rows.matrix) == whole).all()


def test_weights_bring_the_rate_back(scorer: Scorer, small_frame: pd.DataFrame) -> None:
    report, _, _ = evaluate(small_frame, scorer, weight_legit=21.2)
    assert report["fraud_rate"] == pytest.approx(0.02 / (0.02 + 0.98 * 21.2), rel=0.05)


def test_a_file_without_fraud_cannot_be_judged(scorer: Scorer, small_frame: pd.DataFrame) -> None:
    with pytest.raises(TrainingDataError, match="no fraud"):
        evaluate(small_frame[small_frame.isFraud == 0], scorer)


def test_the_pictures_are_four_png_files(
    scorer: Scorer, small_frame: pd.DataFrame, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="plots are an extra")
    written = save_plots(*evaluate(small_frame, scorer), tmp_path)
    names = ["precision_recall.png", "reliability.png", "histogram.png", "cost.png"]
    assert [path.name for path in written] == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_without_matplotlib_the_error_says_what_to_install(
    scorer: Scorer, small_frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotsUnavailable, match=r"fraudapp\[plots\]"):
        save_plots(*evaluate(small_frame, scorer), tmp_path)
