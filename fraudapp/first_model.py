"""The model of a machine, which is trained if there is none.

Workers share one instead: see `fraudapp.shared_model`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, ValidationError, convert, structs

from fraudapp.model_registry import ModelRegistry
from fraudapp.process.private_files import make_private
from fraudapp.samples import misfit_explained, sample, training_file
from fraudapp.settings import Settings
from models.artifact import Kind, ModelFileError, OtherFeatures
from models.errors import TrainingDataError
from models.files.lines import digest
from models.profiles.replaying import LABEL_DELAY
from models.scorer import Scorer
from models.training.days import Days

log = logging.getLogger(__name__)


class _Options(Struct):
    """How a model was trained, by its card; an option that is missing had its default."""

    seed: Annotated[int, Meta(ge=0, lt=1 << 32)] = 7
    weight_legit: Annotated[float, Meta(gt=0)] = 1.0
    label_delay: Annotated[int, Meta(ge=1)] = LABEL_DELAY
    days: Days | None = None
    evasive: Annotated[float, Meta(ge=0)] | None = None


def own_scorer(settings: Settings) -> Scorer | None:
    """Load the model of this machine: the one that the settings name, or else the active one.

    Settings without effect are logged as warnings. Returns None if none is named and none is
    active; raises `models.artifact.ModelFileError`.
    """
    registry = ModelRegistry.of(settings)
    named = settings.model_version
    version = named or registry.active()
    if version is None:
        return None
    for sentence in without_effect(settings, version):
        log.warning(sentence)
    try:
        return registry.load(version)
    except ModelFileError as exc:
        if named is None:
            raise
        raise ModelFileError(
            f"FRAUD_MODEL_VERSION={version}: {exc}; bring it here, or name another"
        ) from exc


def ready_scorer(settings: Settings, progress: Callable[[str], None]) -> Scorer:
    """Return `own_scorer`, or else `trained_scorer`; raises what they raise."""
    return own_scorer(settings) or trained_scorer(settings, progress)


def trained_scorer(settings: Settings, progress: Callable[[str], None]) -> Scorer:
    """Train and activate a model, which blocks for seconds.

    An active model for other features of the schema is trained anew if its training file is the
    configured one. Raises `models.errors.TrainingDataError`, `models.artifact.ModelFileError`, or
    `OSError` if the data folder cannot be created.
    """
    registry = ModelRegistry.of(settings)
    if outdated := registry.outdated():
        _retrain(settings, registry, outdated, progress)
    else:
        train_and_activate(settings, progress)
    return registry.load_active()


def without_effect(settings: Settings, version: str) -> Iterator[str]:
    """Yield a sentence for each setting of the first training that differs from `version`."""
    try:
        card = ModelRegistry.of(settings).card(version)
    except ModelFileError:
        return  # without a readable card, the model cannot be compared
    file, kind = settings.training_file, settings.model_kind
    if "model_kind" in settings.model_fields_set and kind != card.kind:
        yield (
            f"FRAUD_MODEL_KIND={kind} has no effect: {version} serves, of kind {card.kind}; "
            f"`fraudapp train --kind {kind}` trains another"
        )
    if file is not None and _digest(file) != card.training.get("data_sha256"):
        yield (
            f"FRAUD_TRAINING_FILE={file} has no effect: {version} serves, trained on "
            f"{card.training.get('data', 'another file')}; `fraudapp train` trains another"
        )


def train_and_activate(
    settings: Settings,
    progress: Callable[[str], None],
    *,
    kind: Kind | None = None,
    **options: Any,
) -> str:
    """Train on the configured file, activate the model and return its version. Blocks.

    `kind` is the configured one by default; `options` are those of `models.training.train.train`.
    Likely mistakes in the file are logged as warnings.
    Raises `TrainingDataError`, `OSError`.
    """
    # Imported here: pandas and scikit-learn are slow to import, and only training needs them.
    from models.training.train import train

    make_private(settings.data_dir)
    registry = ModelRegistry.of(settings)
    file = training_file(settings)
    try:
        with misfit_explained(file, settings):
            trained = train(
                file,
                kind=kind or settings.model_kind,
                schema=settings.transaction_schema,
                progress=progress,
                warn=log.warning,
                **options,
            )
    except TrainingDataError:
        raise
    except ValueError as exc:  # of the libraries, about numbers that no check has found
        raise TrainingDataError(f"no model can be trained on {file}: {exc}") from exc
    version = registry.add(trained)
    registry.activate(version)
    return version


def _retrain(
    settings: Settings, registry: ModelRegistry, outdated: str, progress: Callable[[str], None]
) -> None:
    """Train a model for other features of this schema again, if its training file is there.

    Another file would give another model, which nobody asked for.
    """
    card, schema = registry.card(outdated), settings.transaction_schema
    training, file = card.training, settings.training_file or sample(settings)
    if file is None or training.get("data_sha256") != _digest(file):
        raise OtherFeatures(
            f"model {outdated} was trained on {training.get('data', 'another file')!r}, for "
            f"features {card.feature_contract!r}; schema {schema.name} now computes "
            f"{schema.contract!r}: train it again on that file with `fraudapp train FILE`"
        )
    try:
        options = structs.asdict(convert(training, _Options))
    except ValidationError as exc:
        raise ModelFileError(
            f"the card of model {outdated} does not say how it was trained ({exc}); train it again "
            "with `fraudapp train FILE`"
        ) from exc
    progress(
        f"Model {outdated} is of an earlier version of the program or its schema; training it anew"
    )
    train_and_activate(settings, progress, kind=card.kind, **options)


def _digest(file: Path) -> str | None:
    try:
        return digest(file)
    except OSError:
        return None
