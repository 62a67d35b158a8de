"""What cannot be trained on is one sentence, whoever finds it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraudapp.first_model import train_and_activate
from fraudapp.settings import load
from models.errors import NeedsOperator, TrainingDataError


def test_an_error_of_the_libraries_in_training_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("Input X contains infinity")

    monkeypatch.setattr("models.training.train.train", failing)
    settings = load({"FRAUD_DATA_DIR": str(tmp_path / "data")})
    with pytest.raises(TrainingDataError, match=r"transactions\.csv: Input X contains") as caught:
        train_and_activate(settings, lambda line: None)
    assert isinstance(caught.value, NeedsOperator)
