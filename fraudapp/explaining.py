"""Explains decisions with the models and policies that they name, as far as these are here.

A worker takes its own model, one of the control topic, or an earlier one in the folder of models.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

from fraudapp.control.archived_models import NotFetched
from fraudapp.model_registry import ModelRegistry
from fraudapp.worker import FraudWorker
from models.artifact import ModelFileError, OtherFeatures
from models.control.chain import Chain
from models.control.versions import Version
from models.errors import FraudAppError
from models.explanation import Explanation, explanation
from models.policies.definition import PolicyFile
from models.policies.reading import PolicyError, read
from models.policy import Policy
from models.records import Decision
from models.schema.schema import Schema
from models.scorer import Scorer

log = logging.getLogger(__name__)

MAX_MODELS: Final = 4
"""Models of the folder that are kept ready; each takes about a megabyte."""


class Unexplainable(FraudAppError):
    """A decision cannot be explained here; the message says why, and what to do."""


def explained(
    decision: Decision, schema: Schema, load: Callable[[str], Scorer], chain: Chain
) -> Explanation:
    """Explain a decision with the model that `load` returns, and its policy of the chain.

    `load` raises `ModelFileError` for a version that is not here. Raises `Unexplainable`.
    """
    if not isinstance(decision.transaction, schema.transaction):
        raise Unexplainable(
            f"it was decided with the fields of schema {decision.schema_version!r}, and "
            f"{schema.name} serves here; ask where FRAUD_SCHEMA is that of then"
        )
    scorer = _scorer(decision.model_version, load)
    policy = _policy(decision.policy_version, chain, schema)
    try:
        return explanation(decision, scorer, schema, policy)
    except ValueError as exc:
        raise Unexplainable(f"{decision.model_version} cannot score it now: {exc}") from exc


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
        chain = self._worker.parts().control.known.chain
        return await asyncio.to_thread(explained, decision, self._schema, self._load, chain)

    def _load(self, version: str) -> Scorer:
        """Return a model of the worker, that of its folder last; raises `ModelFileError`."""
        try:
            # Whatever a worker serves with is a scorer.
            return cast(Scorer, self._worker.parts().control.models.scorer(version))
        except OtherFeatures:
            raise
        except ModelFileError as exc:
            log.debug("looking for model %s in the folder: %s", version, exc)
            missing = exc
        try:
            return self._stored(version)
        except OtherFeatures:
            raise
        except ModelFileError as exc:
            if isinstance(missing, NotFetched):
                raise missing from exc
            raise


def _scorer(version: str, load: Callable[[str], Scorer]) -> Scorer:
    try:
        return load(version)
    except OtherFeatures as exc:
        raise _other_features(version) from exc
    except NotFetched as exc:
        raise Unexplainable(f"{exc}; ask again later, or a worker that has it") from exc
    except ModelFileError as exc:
        log.debug("model %s is not here: %s", version, exc)
        raise Unexplainable(
            f"model {version} has scored it, which is neither in the control topic nor in the "
            "folder of models here; give it to all workers from where it is, by `fraudapp models "
            f"publish {version}`, or ask a worker that has it"
        ) from exc


def _policy(version: str, chain: Chain, schema: Schema) -> PolicyFile | Policy | None:
    """Return the policy that a decision names, if it is known and fits the schema of now."""
    if thresholds := Policy.of(version):
        return thresholds
    named = Version.of(version)
    if named is None or (candidate := chain.member(named.number)) is None:
        return None
    try:
        return read(candidate.proposed.text.encode(), schema)
    except PolicyError:
        return None


def _other_features(version: str) -> Unexplainable:
    return Unexplainable(
        f"model {version} has scored it, with other features than those of this program and its "
        "schema; ask a worker of the version, and with the schema, that decided it"
    )
