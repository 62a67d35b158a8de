"""Model artifacts: each version is a directory named after its content, with numbers only.

gradient_boosting-3f0a.../model.json   the model, read as plain numbers: loading runs no code
gradient_boosting-3f0a.../card.json    what it was trained on, how good it is, who made it
"""

from __future__ import annotations

import shutil
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import msgspec
import numpy as np
from msgspec import Struct

from models.ensemble import Trees
from models.errors import NeedsOperator
from models.linear import Linear
from models.schema.features import Features, Matrix
from models.schema.probing import probe_columns
from models.schema.schema import PAYSIM, Schema
from models.scorer import CompiledModel, Floats, Scorer
from models.seals import has_name, name_digest

MODEL_FILE = "model.json"
CARD_FILE = "card.json"
MAX_PROBES = 64
PROBE_TOLERANCE = 1e-6
"""By how much the score of a probe may be another one: machines round differently."""
Kind = Literal["gradient_boosting", "logistic"]
T = TypeVar("T")

_NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class ModelFileError(NeedsOperator):
    """A model file cannot be used; the message says which, why, and what to do."""


class OtherFeatures(ModelFileError):
    """The model is intact, but for other features: of another program version, or schema."""


class _Header(Struct):
    feature_contract: str
    features: list[str]


class Model(Struct, frozen=True, omit_defaults=True):
    """The content of a model file: all that scoring needs."""

    kind: Kind
    feature_contract: str
    features: list[str]
    body: Trees | Linear
    learned: dict[str, dict[str, float]] = {}
    """By feature, the number that training has found for each text."""


class Card(Struct, frozen=True, kw_only=True):
    """The model card: facts that people need before they trust a model."""

    version: str
    kind: Kind
    created_at: str
    """ISO 8601, UTC."""
    feature_contract: str
    features: list[str]
    training: dict[str, Any]
    """Rows, frauds, weights, parameters, seed, library versions, the SHA-256 of the data."""
    metrics: dict[str, Any]
    """Measured on a period after the training period; includes the thresholds they are taken at."""
    probes: list[float] = []
    """Scores of rows that every program can make: see `probe_scores`. Empty on older cards."""


def encode(model: Model) -> bytes:
    """Encode the model file; equal models have equal bytes."""
    return msgspec.json.encode(model)


def version_of(content: bytes, kind: Kind) -> str:
    """Return the name of a version: the kind, and a hash of the model file."""
    return f"{kind}-{name_digest(content)}"


def probe(model: CompiledModel, schema: Schema = PAYSIM, features: Features | None = None) -> None:
    """Score and explain rows of every type and size; raises `ValueError` if one is not finite."""
    matrix = _probe_matrix(schema, features)
    with np.errstate(all="ignore"):  # the results are checked below
        scores, parts = model.log_odds(matrix), model.contributions(matrix)
    if not (np.isfinite(scores).all() and np.isfinite(parts).all() and isfinite(model.expected)):
        raise ValueError("it has no finite score for some transactions")


def probe_scores(scorer: Scorer, schema: Schema = PAYSIM) -> Floats:
    """Return the scores of `MAX_PROBES` of the rows that a model is tried on, at most."""
    matrix = _probe_matrix(schema, scorer.features)
    step = max(1, len(matrix) // MAX_PROBES)
    return scorer.score_matrix(matrix[::step][:MAX_PROBES])


def _probe_matrix(schema: Schema, features: Features | None) -> Matrix:
    columns = probe_columns(schema.definition, schema.features.fields)
    return (features or schema.features).from_columns(columns)


def save(
    model: Model,
    root: Path,
    schema: Schema = PAYSIM,
    *,
    created_at: datetime,
    training: dict[str, Any],
    metrics: dict[str, Any],
) -> str:
    """Write the version's directory under `root` and return its name; see `keep`."""
    content = encode(model)
    version = version_of(content, model.kind)
    card = Card(
        version=version,
        kind=model.kind,
        created_at=created_at.isoformat(),
        feature_contract=model.feature_contract,
        features=model.features,
        training=training,
        metrics=metrics,
        probes=_probes(version, content, schema),
    )
    keep(version, content, msgspec.json.format(msgspec.json.encode(card), indent=2), root)
    return version


def keep(version: str, model: bytes, card: bytes, root: Path) -> None:
    """Write the directory of a version under `root` from its two files, whole or not at all.

    Of a model that is there already only the card is replaced, which a later version of training
    may know more of; a damaged directory is replaced as a whole. Raises `OSError`.
    """
    target = root / version
    if _is_kept(target, model):
        _replace_card(target / CARD_FILE, card)
        return
    root.mkdir(parents=True, exist_ok=True)
    draft = root / f".draft-{uuid4().hex}"
    draft.mkdir()
    try:
        (draft / MODEL_FILE).write_bytes(model)
        (draft / CARD_FILE).write_bytes(card)
        if target.exists():  # it is damaged; renaming hides it from readers at once
            target.rename(root / f".damaged-{uuid4().hex}")
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not _is_kept(target, model):  # another process may have saved the same model meanwhile
            raise


def load(directory: Path, schema: Schema = PAYSIM) -> Scorer:
    """Load the scorer of one version.

    Raises `ModelFileError` for a file that is damaged, does not match its name, was trained on
    other features, or has no finite scores.
    """
    path = directory / MODEL_FILE
    return _scorer(path, directory.name, _content(path), schema)


def unpacked(version: str, model: bytes, card: bytes, schema: Schema = PAYSIM) -> Scorer:
    """Return the scorer of a version that comes as its two files; raises like `load`.

    They have to belong together: the card names the version, and says what the model scores.
    """
    if not has_name(version, model):
        raise ModelFileError(f"model {version} does not match its name")
    told = _decoded(f"the card of model {version}", card, Card)
    if told.version != version:
        raise ModelFileError(f"the card of model {version} is that of {told.version}")
    scorer = _scorer(f"model {version}", version, model, schema)
    scores = probe_scores(scorer, schema)
    if told.probes and not _are_alike(told.probes, scores):
        raise ModelFileError(f"model {version} does not score as its card says")
    return scorer


def _probes(version: str, content: bytes, schema: Schema) -> list[float]:
    try:
        found: list[float] = probe_scores(_scorer("", version, content, schema), schema).tolist()
    except ModelFileError:
        return []  # whoever loads it says why it cannot serve
    return found


def _are_alike(told: list[float], scores: Floats) -> bool:
    return len(told) == len(scores) and bool(np.allclose(told, scores, 0.0, PROBE_TOLERANCE))


def _scorer(name: object, version: str, content: bytes, schema: Schema) -> Scorer:
    """Return the scorer of a model file; `name` is for messages."""
    header = _decoded(name, content, _Header)
    names = list(schema.features.names)
    if header.feature_contract == schema.contract and header.features != names:
        raise OtherFeatures(
            f"{name} has other features than {schema.contract!r}, or in another order: "
            f"{', '.join(header.features)}; train it again: `fraudapp train FILE`"
        )
    if header.feature_contract != schema.contract:
        raise OtherFeatures(
            f"{name} was trained for features {header.feature_contract!r}, and schema "
            f"{schema.name} now computes {schema.contract!r}; train it again: `fraudapp train FILE`"
        )
    try:
        model = _decoded(name, content, Model)
        features = Features(schema.definition, model.learned)
        compiled = model.body.compiled(len(names))
        probe(compiled, schema, features)
    except ValueError as error:
        raise ModelFileError(
            f"{name} holds an unusable model ({error}); train it again, or activate another model"
        ) from error
    return Scorer(version, compiled, schema, features)


def is_for_another_program(directory: Path, schema: Schema = PAYSIM) -> bool:
    """Whether it is an intact model for other features than those of the schema."""
    path = directory / MODEL_FILE
    try:
        contract = _decoded(path, _content(path), _Header).feature_contract
    except ModelFileError:
        return False
    return contract != schema.contract


def load_card(directory: Path) -> Card:
    """Load the model card of one version; raises `ModelFileError`."""
    path = directory / CARD_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); train it again") from error
    except _NOT_JSON as error:
        raise ModelFileError(f"{path} is not a model card ({error}); train it again") from error


def _replace_card(path: Path, card: bytes) -> None:
    if path.read_bytes() == card:
        return
    draft = path.with_name(f".draft-{uuid4().hex}")
    try:
        draft.write_bytes(card)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _is_kept(directory: Path, content: bytes) -> bool:
    try:
        load_card(directory)
        return (directory / MODEL_FILE).read_bytes() == content
    except (ModelFileError, OSError):
        return False


def _content(path: Path) -> bytes:
    """Read the model file; raises `ModelFileError` if its hash is not the one in its name."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}); train a model") from error
    if not has_name(path.parent.name, content):
        raise ModelFileError(
            f"{path} does not match its name: it was changed or damaged; restore it or train again"
        )
    return content


def _decoded(name: object, content: bytes, what: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=what)
    except _NOT_JSON as error:
        raise ModelFileError(f"{name} is not a model file ({error}); train it again") from error
