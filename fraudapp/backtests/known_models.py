"""The models that a backtest knows: those of this machine, and those of the control topic."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fraudapp.control.model_shelf import Models
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings
from models.artifact import Card, ModelFileError, unpacked
from models.control.records import Distributed
from models.scorer import Scorer


class KnownModels(Models):
    """Loads models by their version; workers serve by the active one, and by those of the topic."""

    def __init__(self, settings: Settings, distributed: Mapping[str, Distributed]) -> None:
        """`distributed` are those of the control topic, as far as it was read."""
        self.registry = ModelRegistry.of(settings)
        self._schema = settings.transaction_schema
        self._chosen = settings.model_version
        self._distributed = distributed

    def problem(self, version: str | None) -> str | None:
        """See `Models.problem`; the active one stands for those that workers have trained."""
        if version is None:
            return None
        if version in self._distributed:
            try:
                self._of_topic(version)
            except ModelFileError as exc:
                return str(exc)
            return None
        try:
            active = self._chosen or self.registry.active()
        except ModelFileError:
            active = None
        if version == active:
            return None
        serves = f"{active} serves here" if active else "there is none here"
        return f"it is for model {version}, which is not in the control topic, and {serves}"

    def active(self) -> Scorer:
        """Return the active model of this machine; raises `ModelFileError`."""
        return self.registry.load_active()

    def load(self, version: str) -> Scorer:
        """Return a model, that of the topic first; raises `ModelFileError` if there is none."""
        if version in self._distributed:
            return self._of_topic(version)
        return self.registry.load(version)

    def card(self, version: str) -> Card:
        """Return the card of a model that was loaded; raises `ModelFileError`."""
        if version in self._distributed:
            return msgspec.json.decode(self._distributed[version].card, type=Card)
        return self.registry.card(version)

    def _of_topic(self, version: str) -> Scorer:
        found = self._distributed[version]
        return unpacked(version, found.model.encode(), found.card.encode(), self._schema)
