"""The folder of model versions, and the one that serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from fraudapp.settings import Settings
from models import artifact
from models.artifact import Card, ModelFileError, OtherFeatures
from models.control.records import Published
from models.schema.schema import PAYSIM, Schema
from models.scorer import Scorer

if TYPE_CHECKING:  # serving does without scikit-learn and pandas, which are slow to import
    from models.training.train import TrainedModel

ACTIVE_FILE = "active"
"""File that names the active version of PaySim's schema; of another, its name follows a dot."""

_CHOOSE = "choose one with `fraudapp models activate VERSION`"


class ModelRegistry:
    """Model versions in one folder, where a file for each schema names the one that serves.

    That model may be for other features: of another program version, or from before the schema was
    edited. Then the file stays as it is, so that workers with those features can go on and
    restart. A file of its own, named after the features, names the model of this program.

    Several processes may use the same folder, since versions and files are replaced atomically.
    """

    def __init__(self, root: Path, schema: Schema = PAYSIM) -> None:
        self._root = root
        self._schema = schema

    @classmethod
    def of(cls, settings: Settings) -> ModelRegistry:
        """Return the registry of these settings, for the models of their schema."""
        return cls(settings.model_dir, settings.transaction_schema)

    def versions(self) -> list[str]:
        """Return the names of all versions in order, those of damaged models included."""
        try:
            found = list(self._root.glob(f"[!.]*/{artifact.MODEL_FILE}"))
        except OSError as exc:
            raise ModelFileError(
                f"{self._root} cannot be read ({exc}); see FRAUD_DATA_DIR"
            ) from exc
        return sorted(path.parent.name for path in found)

    def active(self) -> str | None:
        """Return the version that serves; None before one was activated.

        Raises `ModelFileError` if the file that names it is damaged.
        """
        return self._named(self._pointer())

    def outdated(self) -> str | None:
        """Return the version for other features of this schema that was activated last, if any."""
        try:
            pointers = [self._root / self._base(), *self._root.glob(f"{self._base()}-*")]
            latest = sorted(
                (each.stat().st_mtime, each.name) for each in pointers if each.is_file()
            )
        except OSError:
            return None  # `active` says what is wrong with the folder
        found = (self._for_other_features(name) for _, name in reversed(latest))
        return next(filter(None, found), None)

    def load(self, version: str) -> Scorer:
        """Return the scorer of a version; raises `ModelFileError` if it is missing or unusable."""
        directory = self._directory(version)
        try:
            return artifact.load(directory, self._schema)
        except OtherFeatures:
            if (other := self._schema_of(version)) == self._schema.name:
                raise
            raise OtherFeatures(
                f"{directory} is a model of schema {other}, and FRAUD_SCHEMA names "
                f"{self._schema.name}"
            ) from None

    def card(self, version: str) -> Card:
        """Return the model card of a version; raises `ModelFileError`."""
        return artifact.load_card(self._directory(version))

    def card_of(self, version: str, of_topic: Mapping[str, Published]) -> Card:
        """Return the card of a version, that of the control topic first; raises like `card`."""
        if (published := of_topic.get(version)) is None:
            return self.card(version)
        try:
            return msgspec.json.decode(published.card, type=Card)
        except msgspec.MsgspecError as exc:
            raise ModelFileError(f"the card of {version} in the control topic: {exc}") from exc

    def files(self, version: str) -> tuple[bytes, bytes]:
        """Return the model file and the card of a version; raises `ModelFileError`."""
        self.load(version)
        self.card(version)
        directory = self._directory(version)
        try:
            return (
                (directory / artifact.MODEL_FILE).read_bytes(),
                (directory / artifact.CARD_FILE).read_bytes(),
            )
        except OSError as exc:
            raise ModelFileError(f"{directory} cannot be read ({exc.strerror})") from exc

    def activate(self, version: str) -> Scorer:
        """Let a version serve from now on, and return its scorer.

        It is loaded first. If that raises `ModelFileError`, the active version stays.
        """
        scorer = self.load(version)
        draft, pointer = self._root / f".{ACTIVE_FILE}-{uuid4().hex}", self._root / self._pointer()
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(f"{version}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(pointer)
        except OSError as exc:
            draft.unlink(missing_ok=True)
            raise ModelFileError(f"{pointer} cannot be written ({exc.strerror})") from exc
        return scorer

    def load_active(self) -> Scorer:
        """Return the scorer of the active version; raises `ModelFileError` if there is none."""
        version = self.active()
        if version is None:
            raise ModelFileError(
                f"no model in {self._root} is active; run `fraudapp train`, or {_CHOOSE}"
            )
        return self.load(version)

    def add(self, trained: TrainedModel) -> str:
        """Write a trained model and return its version, which does not serve until it is activated.

        Raises `ModelFileError` if it cannot be written.
        """
        try:
            return artifact.save(
                trained.model,
                self._root,
                self._schema,
                created_at=datetime.now(timezone.utc),
                training={"schema": self._schema.name, **trained.training},
                metrics=trained.metrics,
            )
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def keep(self, version: str, model: bytes, card: bytes) -> None:
        """Write a version from its two files, which were checked; raises `ModelFileError`."""
        try:
            artifact.keep(version, model, card, self._root)
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> ModelFileError:
        return ModelFileError(
            f"the model cannot be kept in {self._root} ({exc}); see FRAUD_DATA_DIR"
        )

    def _base(self) -> str:
        name = self._schema.name
        return ACTIVE_FILE if name == PAYSIM.name else f"{ACTIVE_FILE}.{name}"

    def _pointer(self) -> str:
        contract = self._schema.contract.replace("/", "-")
        is_taken = self._for_other_features(self._base())
        return f"{self._base()}-{contract}" if is_taken else self._base()

    def _for_other_features(self, pointer: str) -> str | None:
        """Return the version that a file names if it is intact, and for other features."""
        try:
            version = self._named(pointer)
            if version not in self.versions():
                return None
        except ModelFileError:
            return None
        is_other = artifact.is_for_another_program(self._root / version, self._schema)
        return version if is_other else None

    def _schema_of(self, version: str) -> str:
        try:
            return str(self.card(version).training.get("schema", PAYSIM.name))
        except ModelFileError:
            return self._schema.name  # what the model's file says has to do

    def _named(self, pointer: str) -> str | None:
        path = self._root / pointer
        try:
            version = path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        except NotADirectoryError as exc:
            raise ModelFileError(f"{self._root} is no folder; see FRAUD_DATA_DIR") from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise ModelFileError(
                f"{path} cannot be read ({exc}); remove it, and {_CHOOSE}"
            ) from exc
        if not version:
            raise ModelFileError(f"{path} is empty; {_CHOOSE}")
        return version

    def _directory(self, version: str) -> Path:
        if version not in self.versions():  # also keeps paths such as `../x` out
            known = ", ".join(self.versions()) or "none; run `fraudapp train`"
            raise ModelFileError(f"there is no model {version!r} in {self._root}; known: {known}")
        return self._root / version


def serving_version(settings: Settings) -> str | None:
    """Return the model that serves by the settings of this process; None if none is known."""
    try:
        return settings.model_version or ModelRegistry.of(settings).active()
    except ModelFileError:
        return None
