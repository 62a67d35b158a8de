"""Explains decisions with the models and policies that they name, as far as this worker has them.

A model is the worker's own, one of the control topic, or an earlier one in the folder of models.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import Final, cast

from fraudapp.model_registry import ModelRegistry
from fraudapp.worker import FraudWorker
from models.artifact import ModelFileError, OtherFeatures
from models.control.versions import Version
from models.errors import FraudAppError
from models.explanation import Explanation, explanation
from models.policies.definition import PolicyFile
from models.policies.reading import PolicyError, read
from models.policy import Policy
from models.records import Decision
from models.scorer import Scorer

log = logging.getLogger(__name__)

MAX_MODELS: Final = 4
"""Models of the folder that are kept ready; each takes about a megabyte."""


class Unexplainable(FraudAppError):
    """This worker cannot explain a decision; the message says why, and what to do."""


class Explainer:
    """Explains decisions of a worker that has started."""

    def __init__(self, worker: FraudWorker) -> None:
        self._worker = worker
        self._schema = worker.settings.transaction_schema
        self._registry = ModelRegistry.of(worker.settings)
        self._stored = lru_cache(MAX_MODELS)(self._registry.load)

    async def explain(self, decision: Decision) -> Explanation:
        """Explain a decision; the event loop waits for none of it.

        Raises `Unexplainable`, and `NotStarted` before the worker has started.
        """
        self._worker.parts()
        return await asyncio.to_thread(self._explain, decision)

    def _explain(self, decision: Decision) -> Explanation:
        if not isinstance(decision.transaction, self._schema.transaction):
            raise Unexplainable(
                f"it was decided with the fields of schema {decision.schema_version!r}, and "
                f"{self._schema.name} serves here; ask a worker whose FRAUD_SCHEMA is that of then"
            )
        scorer = self._scorer(decision.model_version)
        policy = self._policy(decision.policy_version)
        try:
            return explanation(decision, scorer, self._schema, policy)
        except ValueError as exc:
            raise Unexplainable(f"{decision.model_version} cannot score it now: {exc}") from exc

    def _scorer(self, version: str) -> Scorer:
        try:
            # Whatever a worker serves with is a scorer.
            return cast(Scorer, self._worker.parts().control.models.scorer(version))
        except OtherFeatures as exc:
            raise _other_features(version) from exc
        except ModelFileError as exc:
            log.debug("looking for model %s in the folder: %s", version, exc)
        try:
            return self._stored(version)
        except OtherFeatures as exc:
            raise _other_features(version) from exc
        except ModelFileError as exc:
            log.debug("model %s is not in the folder: %s", version, exc)
            raise Unexplainable(
                f"model {version} has scored it, which is neither in the control topic nor in the "
                "folder of this worker; give it to all workers from where it is, by `fraudapp "
                f"models publish {version}`, or ask a worker that has it"
            ) from exc

    def _policy(self, version: str) -> PolicyFile | Policy | None:
        """Return the policy that a decision names, if it is known and fits the schema of now."""
        if thresholds := Policy.of(version):
            return thresholds
        named = Version.of(version)
        chain = self._worker.parts().control.known.chain
        if named is None or (candidate := chain.member(named.number)) is None:
            return None
        try:
            return read(candidate.proposed.text.encode(), self._schema)
        except PolicyError:
            return None


def _other_features(version: str) -> Unexplainable:
    return Unexplainable(
        f"model {version} has scored it, with other features than those of this program and its "
        "schema; ask a worker of the version, and with the schema, that decided it"
    )
