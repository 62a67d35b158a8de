"""What is expected of the rows of a model, by its card in the control topic or on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings
from models.artifact import Card, ModelFileError
from models.control.state import ControlState
from models.watch.expected import Expected, expected_by

log = logging.getLogger(__name__)


class ModelCards:
    """Reads the card of a model once; one that is not there is looked for again."""

    def __init__(self, settings: Settings, known: Callable[[], ControlState]) -> None:
        """`known` returns what the control topic has."""
        self._registry = ModelRegistry.of(settings)
        self._known = known
        self._found: dict[str, Expected | None] = {}

    def expected(self, version: str) -> Expected | None:
        """Return what its card says; None if it says nothing of scores, or cannot be read."""
        if version not in self._found:
            if (card := self._card(version)) is None:
                return None
            found = self._found[version] = expected_by(card.training, card.features)
            if found is None or not found.features:
                log.warning(
                    "the card of %s does not say how features were distributed in training, so "
                    "that they are not watched; a model that is trained now says it",
                    version,
                )
        return self._found[version]

    def _card(self, version: str) -> Card | None:
        try:
            return self._registry.card_of(version, self._known().models)
        except ModelFileError:
            return None
