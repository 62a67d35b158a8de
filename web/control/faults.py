"""Where the faults of a policy are: as its reader words them, with line and column apart."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from fraudapp.control.fitting import compiled
from models.control.chain import Candidate
from models.control.records import ROOT, Proposed
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling
from models.schema.schema import Schema
from web.control.documents import PolicyProblem
from web.problems import Problem

MAX_LISTED: Final = 50
_RULE: Final = re.compile(r"rule ([a-z][a-z0-9_]{0,62})(?:, |: )")
_LIST: Final = re.compile(r"list ([a-z][a-z0-9_]{0,62}): ")
_PLACE: Final = re.compile(r"line (\d+), column (\d+)(?: of when)?: ")
_OF_WHEN: Final = " of when: "
_OF_TOML: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


async def fitting(text: str, schema: Schema, model_version: str) -> Ruling:
    """Return a policy compiled as this worker would; raises `PolicyError` if it does not fit."""
    proposed = Proposed(parent=ROOT, text=text, author="nobody")
    return await asyncio.to_thread(compiled, Candidate("", proposed, 0, 0), schema, model_version)


def refusal(text: str, exc: PolicyError) -> Problem:
    """Return the problem of a policy that does not fit."""
    faults = located(text, exc)
    return Problem(
        422, f"nothing was done: the policy is not valid: {exc.problems[0]}", errors=faults
    )


def located(text: str, exc: PolicyError) -> list[PolicyProblem]:
    """Return what is wrong with a text; a fault without a place of its own is at its rule's."""
    lines = text.replace("\r\n", "\n")
    return [_located(lines, each) for each in exc.problems[:MAX_LISTED]]


def _located(text: str, told: str) -> PolicyProblem:
    rule = _RULE.match(told)
    place = _PLACE.search(told, rule.end() if rule else 0, (rule.end() if rule else 0) + 60)
    toml = _OF_TOML.search(told)
    line: int | None = None
    column: int | None = None
    if place and place.start() == (rule.end() if rule else 0) and _OF_WHEN not in place[0]:
        line, column, told = int(place[1]), int(place[2]), told[place.end() :]
    elif toml:
        line, column = _end(text) if toml[1] is None else (int(toml[1]), int(toml[2]))
    elif rule:
        told = told[rule.end() :]
        line, column = _found(text, rf"^[ \t]*id[ \t]*=[ \t]*[\"']{rule[1]}[\"']")
    elif listing := _LIST.match(told):
        line, column = _found(text, rf"^[ \t]*\[[ \t]*lists[ \t]*\.[ \t]*[\"']?{listing[1]}[\"']?")
    return PolicyProblem("text", told, line=line, column=column, rule=rule[1] if rule else None)


def _found(text: str, pattern: str) -> tuple[int | None, int | None]:
    match = re.search(pattern, text, re.MULTILINE)
    return (text.count("\n", 0, match.start()) + 1, 1) if match else (None, None)


def _end(text: str) -> tuple[int, int]:
    return text.count("\n") + 1, len(text) - text.rfind("\n")
