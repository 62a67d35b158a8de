"""The types of an expression, against the names of a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Final

from models.rules import tree
from models.rules.errors import RuleError
from models.rules.functions import FUNCTIONS, HOUR, MISSING, NAMES
from models.rules.scope import SCORE, Kind, Scope
from models.rules.tree import Node

_SHOWN: Final = 60
"""Characters of an expression that messages quote."""
_ALL: Final = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")
_COMPARISONS: Final[Mapping[Kind, Sequence[str]]] = {"flag": _ALL[:2], "time": _ALL[:6]}
"""Of the types that not all comparisons are for."""


def check(text: str, node: Node, scope: Scope) -> None:
    """Raise `RuleError` unless the tree of a text is a flag that can be computed."""
    _Checker(text, scope).needs_flag(node, "a rule is true or false")


class _Checker:
    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._scope = scope

    def kind(self, node: Node) -> Kind:
        """Return the type of an operand, after a check of all that is below it."""
        match node:
            case tree.Literal(value=value):
                return _kind(value)
            case tree.Name():
                return self._name(node)
            case tree.Negative(operand=operand):
                self._needs_number(operand, "-")
                return "number"
            case tree.Arithmetic(operator=operator, left=left, right=right):
                self._needs_number(left, operator)
                self._needs_number(right, operator)
                return "number"
            case tree.Comparison():
                self._comparison(node)
            case tree.Not(operand=operand):
                self.needs_flag(operand, "not needs a flag")
            case tree.Logic(operator=operator, operands=operands):
                for each in operands:
                    self.needs_flag(each, f"{operator} stands between flags")
            case tree.Call():
                return self._call(node)
            case tree.Values(values=values):
                return self._same([(each, self.kind(each)) for each in values])
            case tree.ListName():
                return "text"
        return "flag"

    def needs_flag(self, node: Node, why: str) -> None:
        """Raise `RuleError` unless an operand is true or false."""
        if (found := self.kind(node)) != "flag":
            example = {"number": "> 0", "text": "== 'a'"}.get(found)
            hint = f": compare it, such as {self._shown(node)} {example}" if example else ""
            raise self._error(node, f"{why}, and {self._shown(node)} is a {found}{hint}")

    def _needs_number(self, node: Node, operator: str) -> None:
        if (found := self.kind(node)) != "number":
            raise self._error(
                node, f"{operator} needs numbers, and {self._shown(node)} is a {found}"
            )

    def _name(self, node: tree.Name) -> Kind:
        try:
            return self._scope.kind(node.name)
        except ValueError as exc:
            raise self._error(node, str(exc)) from exc

    def _comparison(self, node: tree.Comparison) -> None:
        # Each operand once: those that are in the middle have comparisons within them, too.
        typed = [(each, self.kind(each)) for each in node.operands]
        self._same(typed)
        for (left, kind), operator in zip(typed, node.operators, strict=False):
            if operator not in _COMPARISONS.get(kind, _ALL):
                raise self._error(
                    left, f"{operator} is not for a {kind}, as {self._shown(left)} is"
                )
        for left, right in pairwise(node.operands):
            self._is_value(left, right)
            self._is_value(right, left)

    def _same(self, typed: Sequence[tuple[Node, Kind]]) -> Kind:
        for (left, one), (right, other) in pairwise(typed):
            if isinstance(right, tree.ListName) and one != other:
                raise self._error(left, f"lists hold texts, and {self._shown(left)} is a {one}")
            if one != other:
                raise self._error(
                    left,
                    f"{self._shown(left)} is a {one} and {self._shown(right)} a {other}: "
                    f"they cannot be compared{_instead(one, other)}",
                )
        return typed[0][1]

    def _is_value(self, name: Node, other: Node) -> None:
        """Raise `RuleError` for a text that a category does not have."""
        field = self._scope.fields.get(name.name) if isinstance(name, tree.Name) else None
        if field is None or field.values is None:
            return
        for literal in other.values if isinstance(other, tree.Values) else [other]:
            if isinstance(literal, tree.Literal) and literal.value not in field.values:
                close = get_close_matches(str(literal.value), field.values, 1)
                hint = f"did you mean {close[0]!r}?" if close else _some(field.values)
                problem = f"{self._shown(literal)} is no value of {self._shown(name)}: {hint}"
                raise self._error(literal, problem)

    def _call(self, node: tree.Call) -> Kind:
        name, arguments = node.function, node.arguments
        if name == MISSING:
            self._named(node, "a field or a feature", lambda each: each != SCORE)
            return "flag"
        if name == HOUR:
            fields = self._scope.fields
            times = [each for each, field in fields.items() if field.type == "time"]
            self._named(node, "a field of type time", times.__contains__)
            return "number"
        if (function := FUNCTIONS.get(name)) is None:
            close = get_close_matches(name, NAMES, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(NAMES)}"
            raise self._error(node, f"there is no function {name:.63}; {hint}")
        for each in arguments:
            if (found := self.kind(each)) != function.takes:
                problem = f"{name} takes a {function.takes}, and {self._shown(each)} is a {found}"
                raise self._error(each, problem)
        if len(arguments) not in function.arguments:
            least = function.arguments.start
            many = f"{least} or more" if len(function.arguments) > 1 else f"{least}"
            problem = f"{name} takes {many} {function.takes}{'s' * (least > 1)}"
            raise self._error(node, f"{problem}, not {len(arguments)}")
        return function.gives

    def _named(self, node: tree.Call, what: str, fits: Callable[[str], bool]) -> None:
        if len(node.arguments) == 1 and isinstance(name := node.arguments[0], tree.Name):
            self._name(name)
            if fits(name.name):
                return
        raise self._error(node, f"{node.function} takes {what} by its name, and nothing else")

    def _shown(self, node: Node) -> str:
        shown = " ".join(self._text[node.span.start : node.span.end].split())
        return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."

    def _error(self, node: Node, problem: str) -> RuleError:
        return RuleError(self._text, node.span.start, problem)


def _instead(*kinds: Kind) -> str:
    if "flag" in kinds:
        return "; a flag stands by itself, or behind not"
    return "; of a time there are hour(time) and other times" if "time" in kinds else ""


def _kind(value: float | str | bool) -> Kind:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(map(repr, values[:8]))
    return f"there are {shown}" + (", ..." if len(values) > 8 else "")
