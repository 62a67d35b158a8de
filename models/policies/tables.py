"""The tables of a policy file: its top, its rules, its lists and its caps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from models.policies.definition import NAME, Caps, Listing, PolicyFile, Rule
from models.policies.faults import Wrong
from models.policies.forms import Form, form
from models.policies.values import A_NAME, shown
from models.rules.ruleset import MAX_RULES

MAX_LISTS: Final = 100
_NAME: Final = re.compile(NAME)
_RULES: Final = "write [[rules]] above each rule"
_LISTS: Final = "write [lists.NAME] above each list"


class Tables(NamedTuple):
    """The tables of a file, as far as they are tables, and what is wrong with all of them."""

    top: Form
    rules: list[Form]
    lists: dict[str, Form]
    wrong: list[Wrong]


def tables(parsed: dict[str, Any]) -> Tables:
    """Return the tables of a file; of more rules or lists than a policy has, none."""
    top = form(parsed, PolicyFile, (), but=("rules", "lists", "caps"))
    rules, lists = parsed.get("rules", []), parsed.get("lists", {})
    wrong = [*top.wrong, *_of_rules(rules), *_of_lists(lists)]
    found = Tables(top, [], {}, wrong)
    if isinstance(rules, list) and len(rules) <= MAX_RULES:
        forms = (
            form(each, Rule, ("rules", number))
            for number, each in enumerate(rules)
            if isinstance(each, dict)
        )
        found.rules.extend(forms)
    if isinstance(lists, dict) and len(lists) <= MAX_LISTS:
        for name, each in lists.items():
            if isinstance(each, dict):
                found.lists[name] = form(each, Listing, ("lists", name))
    for each in (*found.rules, *found.lists.values()):
        wrong += each.wrong
    caps = parsed.get("caps", {})
    if isinstance(caps, dict):
        wrong += form(caps, Caps, ("caps",)).wrong
    else:
        wrong.append(Wrong(("caps",), _no_table("caps", caps, "write [caps]")))
    return found


def _of_rules(given: Any) -> Iterator[Wrong]:
    if not isinstance(given, list):
        said = f"rules is {shown(given)}, and has to be an array of tables: {_RULES}"
        yield Wrong(("rules",), said)
    elif len(given) > MAX_RULES:
        said = f"a policy has {MAX_RULES} rules at most, this one {len(given):,}"
        yield Wrong(("rules", MAX_RULES), said)
    else:
        for number, each in enumerate(given):
            if not isinstance(each, dict):
                yield Wrong(("rules", number), _no_table("it", each, _RULES))


def _of_lists(given: Any) -> Iterator[Wrong]:
    if not isinstance(given, dict):
        yield Wrong(("lists",), _no_table("lists", given, _LISTS))
    elif len(given) > MAX_LISTS:
        said = f"a policy has {MAX_LISTS} lists at most, this one {len(given):,}"
        yield Wrong(("lists", [*given][MAX_LISTS]), said)
    else:
        for name, each in given.items():
            if not isinstance(each, dict):
                yield Wrong(("lists", name), _no_table("it", each, _LISTS))
            elif not _NAME.search(name):
                yield Wrong(("lists", name), f"its name has to be a text of {A_NAME}")


def _no_table(name: str, given: Any, do: str) -> str:
    return f"{name} is {shown(given)}, and has to be a table: {do}"
