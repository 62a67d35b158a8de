"""Models of PaySim's features that are made by hand, in no time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from fraudapp.control.archived_models import ArchivedModels
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import archive_at
from models import artifact
from models.artifact import Model
from models.control.records import Distributed
from models.linear import Linear
from models.schema.schema import PAYSIM, Schema


def model(weight: float = 0.5, schema: Schema = PAYSIM) -> Model:
    """A logistic model with one weight for all features."""
    names = list(schema.features.names)
    body = Linear(expected=-4.0, weight=[weight] * len(names), mean=[0.25] * len(names))
    return Model("logistic", schema.contract, names, body)


def saved(root: Path, made: Model, schema: Schema = PAYSIM) -> str:
    """Keep a model in a folder of models; returns its version."""
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return artifact.save(made, root, schema, created_at=now, training={}, metrics={})


def distributed(root: Path, version: str) -> Distributed:
    """A model of a folder, as the control topic has it."""
    return Distributed.of(*ModelRegistry(root).files(version), author="ann")


def none_archived() -> ArchivedModels:
    """What a worker has of the archive where all models are in the topic."""
    settings = load({})
    return ArchivedModels(settings, archive_at(settings))
