"""One rule: an expression that has been checked against a schema, and what it uses."""

from __future__ import annotations

from dataclasses import dataclass

from models.rules import tree
from models.rules.checking import check
from models.rules.parser import parse
from models.rules.scope import SCORE, Scope
from models.rules.tree import Node


@dataclass(frozen=True, slots=True)
class Rule:
    """An expression that may be in force; what it uses is in the order in which it is named."""

    text: str
    tree: Node
    fields: tuple[str, ...]
    features: tuple[str, ...]
    lists: tuple[str, ...]
    uses_score: bool
    nodes: int
    """How many names, values and operations it has."""


def read(text: str, scope: Scope) -> Rule:
    """Return the rule that a text is in a schema; raises `RuleError`."""
    root = parse(text)
    check(text, root, scope)
    nodes = [*tree.walk(root)]
    names = [*dict.fromkeys(each.name for each in nodes if isinstance(each, tree.Name))]
    lists = dict.fromkeys(each.name for each in nodes if isinstance(each, tree.ListName))
    return Rule(
        text=text,
        tree=root,
        fields=tuple(each for each in names if each in scope.fields),
        features=tuple(each for each in names if each in scope.features),
        lists=tuple(lists),
        uses_score=SCORE in names,
        nodes=len(nodes),
    )
