"""What the card of a model says of its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from models.artifact import Card, ModelFileError
from models.profiles.replaying import LABEL_DELAY


class Cards(Protocol):
    """Whatever has model cards."""

    def card(self, version: str) -> Card:
        """Return the model card of a version; raises `ModelFileError`."""


def training_of(registry: Cards, version: str) -> Mapping[str, Any]:
    """Return how a version was trained; nothing if its card cannot be read."""
    try:
        return registry.card(version).training
    except ModelFileError:
        return {}


def label_delay_of(training: Mapping[str, Any]) -> int:
    """Return the seconds after which labels were known in a training; the usual ones if unsaid."""
    delay = training.get("label_delay")
    return delay if isinstance(delay, int) and delay > 0 else LABEL_DELAY
