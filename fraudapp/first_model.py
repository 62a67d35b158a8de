"""The model a worker scores with; trained on first run if there is none."""

from __future__ import annotations

from collections.abc import Callable

import data
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings
from models.scorer import Scorer


def ready_scorer(settings: Settings, progress: Callable[[str], None]) -> Scorer:
    """Load the active model, after training one if none is active; may take some ten seconds.

    Raises `models.training.TrainingDataError` or `models.artifact.ModelFileError`.
    """
    registry = ModelRegistry(settings.model_dir)
    if registry.active() is None:
        train_and_activate(settings, progress)
    return registry.load_active()


def train_and_activate(settings: Settings, progress: Callable[[str], None]) -> str:
    """Train on the configured file, make the model the active one and return its version."""
    # Imported here: pandas and scikit-learn's trainers cost a second which only training needs.
    from models.training import train

    registry = ModelRegistry(settings.model_dir)
    trained = train(
        settings.training_file or data.sample_path(), kind=settings.model_kind, progress=progress
    )
    version = registry.add(trained)
    registry.activate(version)
    return version
