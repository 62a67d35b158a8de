"""Which policy of the chain a worker can have in force."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

from fraudapp.control.model_shelf import Models
from models.characters import legible
from models.control.chain import Candidate, Chain
from models.policies.definition import PolicyFile
from models.policies.faults import Wrong, located
from models.policies.reading import PolicyError, read
from models.policies.ruling import Ruling
from models.schema.schema import Schema

log = logging.getLogger(__name__)

MAX_TOLD: Final = 10
"""Policies that do not fit and are told of: the last ones."""
_MAX_PROBLEM: Final = 300


class Fitting(NamedTuple):
    """The last policy of the chain that fits, and what is wrong with those after it.

    The last one comes first; see `MAX_TOLD`.
    """

    candidate: Candidate | None
    """None if the thresholds of the settings are in force."""
    ruling: Ruling | None
    problems: tuple[str, ...] = ()


def ruling_of(candidate: Candidate, schema: Schema) -> Ruling:
    """Return a policy of the chain, compiled for a schema; raises `PolicyError`."""
    return Ruling(read(candidate.proposed.text.encode(), schema), schema)


def compiled(candidate: Candidate, schema: Schema, models: Models) -> Ruling:
    """Return a policy, compiled for a schema; raises `PolicyError`, and nothing else."""
    try:
        ruling = ruling_of(candidate, schema)
        if wrong := [*_unfit(ruling.policy, models)]:
            text = candidate.proposed.text.replace("\r\n", "\n")
            raise PolicyError(located(wrong, {}, text))
        return ruling
    except PolicyError:
        raise
    except Exception as exc:
        # Else one policy would end all workers, and again at each start.
        log.exception("policy %d cannot be compiled", candidate.number)
        raise PolicyError([f"it cannot be compiled: {type(exc).__name__}: {exc}"]) from exc


def _unfit(policy: PolicyFile, models: Models) -> Iterator[Wrong]:
    if said := models.problem(policy.model):
        yield Wrong(("model",), said)
    for number, version in enumerate(policy.shadow):
        if said := models.problem(version):
            yield Wrong(("shadow", number), said)


def misfit(candidate: Candidate, schema: Schema) -> str | None:
    """Return why a policy cannot be in force in a schema, whatever the model; None if it can."""
    try:
        read(candidate.proposed.text.encode(), schema)
    except PolicyError as exc:
        return legible(exc.problems[0][:_MAX_PROBLEM])
    return None


def last_fitting(chain: Chain, schema: Schema, models: Models) -> Fitting:
    """Return the last policy that fits; takes some milliseconds for each that is looked at."""
    problems: list[str] = []
    for candidate in reversed(chain.members):
        try:
            ruling = compiled(candidate, schema, models)
        except PolicyError as exc:
            if len(problems) < MAX_TOLD:
                problems.append(problem(candidate, exc))
        else:
            return Fitting(candidate, ruling, tuple(problems))
    return Fitting(None, None, tuple(problems))


def problem(candidate: Candidate, exc: PolicyError) -> str:
    """Return a sentence on a policy that does not fit."""
    why = legible(exc.problems[0][:_MAX_PROBLEM])
    return f"policy {candidate.number} does not fit, and is not in force here: {why}"
