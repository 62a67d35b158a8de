"""The file that a first model is trained on: the configured one, or the schema's sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import data
from fraudapp.process.private_files import make_private
from fraudapp.settings import Settings
from models.errors import TrainingDataError
from models.schema.schema import PAYSIM


def training_file(settings: Settings) -> Path:
    """Return the configured file, or else the sample of the schema, which may have to be made.

    Raises `TrainingDataError` if there is neither.
    """
    if settings.training_file is not None:
        return settings.training_file
    name = settings.transaction_schema.name
    if (found := sample(settings)) is None:
        raise TrainingDataError(
            f"schema {name} has no sample to train a first model on; name a labelled file of yours "
            "with FRAUD_TRAINING_FILE, or train with `fraudapp train FILE`"
        )
    return found


def sample(settings: Settings) -> Path | None:
    """Return the sample of the schema's name, made if need be; None if it has none.

    Raises `TrainingDataError` if it cannot be kept in the data folder.
    """
    name = settings.transaction_schema.name
    try:
        if name != PAYSIM.name:  # that one is packaged
            make_private(settings.data_dir)
        return data.sample(name, _samples(settings))
    except OSError as exc:
        raise TrainingDataError(
            f"the sample to train on cannot be written to FRAUD_DATA_DIR={settings.data_dir}: "
            f"{exc.strerror or exc}"
        ) from exc


@contextmanager
def misfit_explained(file: Path | tuple[Path, ...], settings: Settings) -> Iterator[None]:
    """Say of a sample that cannot be trained on what it is, and how to name another file.

    A schema of one's own may have the name of a preset, and other fields.
    """
    try:
        yield
    except TrainingDataError as exc:
        name = settings.transaction_schema.name
        packaged = name == PAYSIM.name and file == data.sample_path()
        if not packaged and file != _samples(settings) / f"{name}.jsonl":
            raise
        raise TrainingDataError(
            f"{exc}. This file is the sample for preset {name}, whose name your schema has: name a "
            "labelled file of yours with FRAUD_TRAINING_FILE"
        ) from exc


def _samples(settings: Settings) -> Path:
    return settings.data_dir / "samples"
