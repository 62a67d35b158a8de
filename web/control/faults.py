"""What is wrong with a policy, as answers tell it: with line and column apart."""

from __future__ import annotations

import asyncio
from typing import Final

from fraudapp.control.fitting import compiled
from fraudapp.control.model_shelf import Models
from models.control.chain import Candidate
from models.control.records import ROOT, Proposed
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from models.schema.schema import Schema
from web.control.documents import PolicyProblem
from web.problems import Problem

MAX_LISTED: Final = 50


async def fitting(text: str, schema: Schema, models: Models) -> Ruling:
    """Return a policy compiled as this worker would; raises `PolicyError` if it does not fit."""
    proposed = Proposed(parent=ROOT, text=text, author="nobody")
    return await asyncio.to_thread(compiled, Candidate("", proposed, 0, 0), schema, models)


def refusal(exc: PolicyError) -> Problem:
    """Return the problem of a policy that does not fit."""
    return Problem(
        422,
        f"nothing was done: the policy is not valid: {exc.problems[0]}",
        errors=located(exc),
    )


def located(exc: PolicyError) -> list[PolicyProblem]:
    """Return the first things that are wrong with a policy, with their places in its text."""
    return [
        PolicyProblem("text", each.problem, line=each.line, column=each.column, rule=each.rule)
        for each in exc.faults[:MAX_LISTED]
    ]
