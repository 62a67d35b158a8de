"""The models that a backtest knows: those of this machine, and those of the control topic."""

from __future__ import annotations

from collections.abc import Mapping

from fraudapp.control.archived_models import NotFetched, fetched
from fraudapp.control.model_shelf import Models
from fraudapp.model_registry import ModelRegistry, serving_version
from fraudapp.settings import Settings
from models.artifact import Card, ModelFileError, unpacked
from models.control.records import Published
from models.scorer import Scorer


class KnownModels(Models):
    """Loads models by their version; workers serve by the active one, and by those of the topic."""

    def __init__(self, settings: Settings, published: Mapping[str, Published]) -> None:
        """`published` are those of the control topic, as far as it was read."""
        self._settings = settings
        self._schema = settings.transaction_schema
        self._registry = ModelRegistry.of(settings)
        self._published = published
        self._missing: dict[str, NotFetched] = {}  # many policies may name one, and each try waits

    def problem(self, version: str | None) -> str | None:
        """See `Models.problem`; the active one stands for those that workers have trained."""
        if version is None:
            return None
        if version in self._published:
            try:
                self._of_topic(version)
            except ModelFileError as exc:
                return str(exc)
            return None
        if version == (active := serving_version(self._settings)):
            return None
        serves = f"{active} serves here" if active else "there is none here"
        return f"it is for model {version}, which is not in the control topic, and {serves}"

    def active(self) -> Scorer:
        """Return the active model of this machine; raises `ModelFileError`."""
        return self._registry.load_active()

    def load(self, version: str) -> Scorer:
        """Return a model, that of the topic first; raises `ModelFileError` if there is none.

        One that is too large for the topic is fetched from the archive, and kept here.
        """
        if version in self._published:
            return self._of_topic(version)
        return self._registry.load(version)

    def card(self, version: str) -> Card:
        """Return the card of a model that was loaded; raises `ModelFileError`."""
        return self._registry.card_of(version, self._published)

    def _of_topic(self, version: str) -> Scorer:
        if version in self._missing:
            raise self._missing[version].with_traceback(None)
        try:
            files = fetched(self._settings, version, self._published[version])
        except NotFetched as exc:
            self._missing[version] = exc
            raise
        return unpacked(version, *files, self._schema)
