"""Features of transactions as the model saw them that decided."""

from __future__ import annotations

from collections.abc import Sequence

from fraudapp.backtests.known_models import KnownModels
from models.artifact import ModelFileError
from models.policies.ruling import Ruling
from models.records import Transaction
from models.schema.features import Features, Matrix
from models.schema.schema import Schema


class StoredFeatures:
    """Computes features anew, with what each model version has learned for them."""

    def __init__(self, schema: Schema, ruling: Ruling, models: KnownModels) -> None:
        self.missing: set[str] = set()
        """Versions that are not here; the active one stands in for them."""
        self._features = schema.features
        self._models = models
        self._is_used = ruling.uses_features
        self._of_version: dict[str, Features] = {}

    @property
    def depend_on_model(self) -> bool:
        """Whether transactions of several model versions have to be given apart."""
        return self._is_used and bool(self._features.learned)

    def matrix(self, transactions: Sequence[Transaction], version: str) -> Matrix | None:
        """Return the features that a model version has seen; None if no rule uses one.

        Raises `ModelFileError` if neither that version nor an active one can be read.
        """
        if not self._is_used:
            return None
        return self._by(version).matrix(transactions)

    def _by(self, version: str) -> Features:
        if not self.depend_on_model:
            return self._features
        if version not in self._of_version:
            self._of_version[version] = self._loaded(version)
        return self._of_version[version]

    def _loaded(self, version: str) -> Features:
        try:
            return self._models.load(version).features
        except ModelFileError:
            found = self._models.active().features
            self.missing.add(version)
            return found
