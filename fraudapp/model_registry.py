"""The directory of model versions, and which of them serves."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from models import artifact
from models.artifact import Card, ModelFileError
from models.features import FEATURE_CONTRACT
from models.scorer import Scorer

if TYPE_CHECKING:  # serving does without scikit-learn and pandas, which take a second to import
    from models.training import TrainedModel

ACTIVE_FILE = "active"
OWN_ACTIVE_FILE = f"{ACTIVE_FILE}-{FEATURE_CONTRACT.replace('/', '-')}"


class ModelRegistry:
    """Model versions under one directory; the file `active` in it names the one that serves.

    Where that is a model for a version of the program with other features, the file stays as it is,
    so that workers of that version can go on and come back; ours is named in a file beside it.

    Several processes may use the same directory: versions and the files change as a whole.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def versions(self) -> list[str]:
        """The names of all versions here, in order of name, sound or not."""
        if not self._root.is_dir():
            return []
        return sorted(path.parent.name for path in self._root.glob(f"[!.]*/{artifact.MODEL_FILE}"))

    def active(self) -> str | None:
        """The version that serves, or None before one was activated."""
        return self._named(self._pointer())

    def outdated(self) -> str | None:
        """The version that serves with programs of other features, or None."""
        version = self._named(ACTIVE_FILE)
        if version not in self.versions():
            return None
        return version if artifact.is_for_another_program(self._root / version) else None

    def load(self, version: str) -> Scorer:
        """The scorer of a version; raises `ModelFileError` if there is none or it is unfit."""
        return artifact.load(self._directory(version))

    def card(self, version: str) -> Card:
        """The model card of a version; raises `ModelFileError`."""
        return artifact.load_card(self._directory(version))

    def activate(self, version: str) -> Scorer:
        """Let a version serve from now on, and return its scorer.

        It is loaded first: if that raises `ModelFileError`, the active one stays.
        """
        scorer = self.load(version)
        draft = self._root / f".{ACTIVE_FILE}-{uuid4().hex}"
        with draft.open("w", encoding="utf-8") as file:
            file.write(f"{version}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._root / self._pointer())
        return scorer

    def load_active(self) -> Scorer:
        """The scorer of the active version; raises `ModelFileError` if there is none."""
        version = self.active()
        if version is None:
            raise ModelFileError(
                f"no model in {self._root} is active; run `fraudapp train`, or choose one with "
                "`fraudapp models activate VERSION`"
            )
        return self.load(version)

    def add(self, trained: TrainedModel) -> str:
        """Keep a trained model, and return its version; it does not serve until activated."""
        return artifact.save(
            trained.model,
            self._root,
            created_at=datetime.now(timezone.utc),
            training=trained.training,
            metrics=trained.metrics,
        )

    def _pointer(self) -> str:
        return OWN_ACTIVE_FILE if self.outdated() else ACTIVE_FILE

    def _named(self, pointer: str) -> str | None:
        try:
            return (self._root / pointer).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def _directory(self, version: str) -> Path:
        if version not in self.versions():  # also keeps paths such as `../x` out
            known = ", ".join(self.versions()) or "none"
            raise ModelFileError(f"there is no model {version!r} in {self._root}; known: {known}")
        return self._root / version
