"""Reads a policy file, and checks it against a schema: what is wrong is told with its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from models.errors import Rejected
from models.policies.definition import Listing, PolicyFile, Rule
from models.policies.places import conditions, within
from models.rules.errors import RulesError
from models.rules.ruleset import MAX_RULES, check
from models.rules.scope import Scope
from models.schema import templates
from models.schema.definition import Definition
from models.schema.schema import Schema

MAX_BYTES: Final = 1 << 20
MAX_LISTS: Final = 100
_TOLD: Final = 50
_AT: Final = re.compile(r" - at `\$(.*)`$", re.DOTALL)
_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DEEP: Final = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*\.[ \t]*){{16}}")
"""Keys of more parts than any policy has; the reader of TOML takes quadratic time for them."""


class PolicyError(Rejected, ValueError):
    """A policy that cannot be in force; `problems` has all that is wrong, with places."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        super().__init__("\n".join([*problems[:_TOLD], *more]))


def read(content: bytes, schema: Schema) -> PolicyFile:
    """Return what a policy file says; raises `PolicyError`."""
    policy, text = _parsed(content)
    if problems := [*_problems(policy, schema, text.replace("\r\n", "\n"))]:
        raise PolicyError(problems)
    return policy


def _parsed(content: bytes) -> tuple[PolicyFile, str]:
    if len(content) > MAX_BYTES:
        raise PolicyError([f"the file is larger than {MAX_BYTES:,} bytes"])
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        raise PolicyError([f"the file is not UTF-8: {exc}"]) from exc
    if _DEEP.search(text):
        raise PolicyError(["a key has more than 16 parts, and those of a policy have 3 at most"])
    try:
        parsed = msgspec.toml.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as exc:
        raise PolicyError([f"the file is not TOML: {exc}"]) from exc
    try:
        return msgspec.convert(parsed, PolicyFile), text
    except msgspec.ValidationError as exc:
        raise PolicyError([_worded(str(exc), parsed)]) from exc


def _problems(policy: PolicyFile, schema: Schema, text: str) -> Iterator[str]:
    definition = schema.definition
    if policy.flag_at > policy.block_at:
        yield f"flag_at {policy.flag_at:g} is above block_at {policy.block_at:g}"
    if len(policy.rules) > MAX_RULES:
        yield f"rules: a policy has {MAX_RULES} at most, this one {len(policy.rules):,}"
        return
    if len(policy.lists) > MAX_LISTS:
        yield f"lists: a policy has {MAX_LISTS} at most, this one {len(policy.lists):,}"
        return
    for id_, count in Counter(each.id for each in policy.rules).items():
        if count > 1:
            yield f"rules: {count} have the id {id_}"
    for rule in policy.rules:
        yield from (f"rule {rule.id}: {each}" for each in _said(rule, definition))
        if rule.then == "approve":
            yield from (f"rule {rule.id}: {each}" for each in _bounds(rule, definition))
        if rule.then != "block" and rule.max_share is not None:
            yield f"rule {rule.id}: max_share is for what blocks"
    for name, listing in policy.lists.items():
        yield from (f"list {name}: {each}" for each in _said(listing, definition))
        yield from (f"list {name}: {each}" for each in _of_list(listing, definition))
    yield from _of_conditions(policy, schema, text)


def _said(given: Rule | Listing, definition: Definition) -> Iterator[str]:
    yield from (f"reason: {each}" for each in templates.problems(given.reason, definition))
    if given.then != "approve" and given.up_to is not None:
        yield "up_to is for what approves"


def _bounds(given: Rule | Listing, definition: Definition) -> Iterator[str]:
    """What approves is a hole for as long as it is there: it ends by itself, and lets little by."""
    if given.expires_at is None:
        yield "what approves needs expires_at, a time with an offset, such as 2027-01-31T00:00:00Z"
    if given.up_to is None:
        yield "what approves needs up_to, the largest amount that it lets by"
    elif definition.role("amount") is None:
        yield f"up_to needs an amount, and schema {definition.name} has no field with that role"


def _of_list(listing: Listing, definition: Definition) -> Iterator[str]:
    field = Scope(definition).fields.get(listing.field)
    if field is None or field.type not in ("text", "category"):
        texts = [n for n, each in Scope(definition).fields.items() if each.type == "text"]
        yield f"field {listing.field!r:.80} is no text of the schema; there are {', '.join(texts)}"
    if listing.then == "approve":
        yield from _bounds(listing, definition)


def _of_conditions(policy: PolicyFile, schema: Schema, text: str) -> Iterator[str]:
    try:
        check([each.when for each in policy.rules], schema)
    except RulesError as exc:
        places = conditions(text)
        if not exc.errors:
            yield f"rules: {exc}"
        known = places if len(places) == len(policy.rules) else [None] * len(policy.rules)
        for at, error in exc.errors.items():
            begin = known[at]
            place = within(begin, error.line, error.column) if begin else None
            where = str(place) if place else f"line {error.line}, column {error.column} of when"
            yield f"rule {policy.rules[at].id}, {where}: {error.problem}"


def _worded(message: str, parsed: Any) -> str:
    """Return what does not fit the types, with its place in words."""
    text = _AT.sub("", message)
    match = _AT.search(message)
    place = match[1].lstrip(".").replace("[...]", "") if match else ""
    # The message may quote a key, which may look like a place.
    rule, rules = re.match(r"rules\[(\d{1,6})\]", place), parsed.get("rules")
    if rule and isinstance(rules, list) and int(rule[1]) < len(rules):
        at = int(rule[1])
        id_ = rules[at].get("id") if isinstance(rules[at], dict) else None
        name = id_ if isinstance(id_, str) and id_ else at + 1
        place = f"rule {name}{place[rule.end() :].replace('.', ': ', 1)}"
    worded = f"{text[0].lower()}{text[1:]}"
    return f"{place}: {worded}" if place else worded
