"""The models that score while workers are tortured, and whether decisions have their scores."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from fraudapp.model_registry import ModelRegistry
from fraudapp.samples import training_file
from fraudapp.settings import load
from models.control.records import Distributed
from models.schema.schema import PAYSIM
from models.training.train import train

BATCH: Final = 5_000
TOLERANCE: Final = 1e-9


class Models:
    """That which all workers have, and another one that comes to them by the control topic."""

    def __init__(self, own: Path, other: Path) -> None:
        """Train another model into the folder `other`; `own` is the folder of the workers' own."""
        registry, others = ModelRegistry(own), ModelRegistry(other)
        self.own = registry.active() or ""
        added = others.add(train(training_file(load({})), kind="logistic"))
        self._registries = {self.own: registry, added: others}

    def distributed(self) -> dict[str, Distributed]:
        """Both, as they are given to workers."""
        found = {}
        for version, registry in self._registries.items():
            found[version] = Distributed.of(*registry.files(version), author="torture")
        return found

    def wrong(self, decisions: Iterable[str]) -> Iterator[str]:
        """Yield what is wrong with scores of decisions, which are JSON, by the models they name."""
        by_model: defaultdict[str, list[tuple[dict[str, Any], float]]] = defaultdict(list)
        for each in map(json.loads, decisions):
            by_model[each["model_version"]].append((each, each["score"]))
            for version, said in each.get("shadow", {}).items():
                by_model[version].append((each, said["score"]))
        for version, found in by_model.items():
            if version not in self._registries:
                yield f"model {version} scored {len(found)} times, and is nowhere"
                continue
            scorer = self._registries[version].load(version)
            for begin in range(0, len(found), BATCH):
                batch = [each for each, _ in found[begin : begin + BATCH]]
                rows = [PAYSIM.parser.from_mapping(each["transaction"]) for each in batch]
                told = np.array([score for _, score in found[begin : begin + BATCH]])
                off = np.abs(scorer.score(rows) - told) > TOLERANCE
                for place in np.flatnonzero(off).tolist():
                    yield f"{batch[place]['transaction_id']}: is not scored as by {version}"
