"""Expressions to syntax trees of Python, with a local variable for each name.

Nothing that a user has written becomes source: a tree has names that are made here, and constants.
A comparison first asks whether all that it is made of is there.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from models.rules import tree
from models.rules.functions import HOUR, MISSING, hour_of
from models.rules.scope import SCORE, Scope
from models.rules.tree import Node

_FEW: Final = 3
"""Up to here a tuple is searched faster than a set."""
_SIMPLE: Final = (tree.Literal, tree.Name, tree.Values, tree.ListName)
"""Operands that cost nothing to compute twice."""
_OPERATORS: Final[Mapping[str, Callable[[], Any]]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "in": ast.In,
    "not in": ast.NotIn,
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "%": ast.Mod,
    "and": ast.And,
    "or": ast.Or,
}


class Compiler:
    """Makes the syntax trees of one rule, which has been checked."""

    def __init__(self, scope: Scope, local: Mapping[str, str]) -> None:
        """`local` has the local variable of each field and feature, and of each list by `@name`."""
        self._scope = scope
        self._local = local
        self._bound = 0

    def condition(self, node: Node) -> ast.expr:
        """Return the syntax tree of a flag, of which the truth counts: None is false."""
        match node:
            case tree.Not(operand=operand):
                return ast.UnaryOp(ast.Not(), self.condition(operand))
            case tree.Logic(operator=operator, operands=operands):
                return ast.BoolOp(_OPERATORS[operator](), [*map(self.condition, operands)])
            case tree.Comparison():
                return self._comparison(node)
            case tree.Call(function=function, arguments=(tree.Name(name=name),)) if (
                function == MISSING
            ):
                return self._asked(name, ast.Is(), ast.NotEq())
            case _:
                return self._value(node)

    def _value(self, node: Node) -> ast.expr:
        """Return the syntax tree of an operand of which nothing is missing."""
        match node:
            case tree.Literal(value=value):
                return ast.Constant(value)
            case tree.Name(name=name):
                return _name(self._local[name])
            case tree.ListName(name=name):
                return _name(self._local[f"@{name}"])
            case tree.Values(values=values):
                kind: Any = tuple if len(values) <= _FEW else frozenset
                return ast.Constant(kind(each.value for each in values))
            case tree.Negative(operand=operand):
                return ast.UnaryOp(ast.USub(), self._value(operand))
            case tree.Arithmetic(operator=operator, left=left, right=right):
                return ast.BinOp(self._value(left), _OPERATORS[operator](), self._value(right))
            case tree.Call(function=function, arguments=arguments) if function != MISSING:
                called = self._called(function, arguments[0])
                return ast.Call(_name(called), [*map(self._value, arguments)], [])
            case tree.Logic():
                # To Python its value is that of an operand, which may be None.
                return ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), self.condition(node)))
            case _:
                return self.condition(node)

    def _comparison(self, node: tree.Comparison) -> ast.expr:
        operands = node.operands
        names = dict.fromkeys(name for each in operands for name in _needed(each))
        tests = [self._asked(each, ast.IsNot(), ast.Eq()) for each in names if each != SCORE]
        exact = any(map(self._is_whole, operands))
        values = [self._values_of(each, exact=exact) for each in operands]
        for (left, right), (one, other), operator in zip(
            pairwise(operands), pairwise(values), node.operators, strict=True
        ):
            simple = isinstance(left, _SIMPLE) and isinstance(right, _SIMPLE)
            if operator == "!=" and not simple:  # two that are no number are not equal
                tests.append(
                    ast.BoolOp(
                        ast.Or(),
                        [_compare(one(), "<", other()), _compare(one(), ">", other())],
                    )
                )
                continue
            if operator == "not in" and not simple:
                tests.append(_compare(one(), "==", one()))
            tests.append(_compare(one(), operator, other()))
        return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)

    def _values_of(self, node: Node, *, exact: bool) -> Callable[[], ast.expr]:
        """Return a function to the syntax tree of an operand, which is computed at the first use.

        Whole literals are floats, which Python compares faster with floats, unless `exact`.
        """
        if isinstance(node, tree.Literal) and type(node.value) is int and not exact:
            value = float(node.value)
            return lambda: ast.Constant(value)
        if isinstance(node, _SIMPLE):
            return lambda: self._value(node)
        bound = f"b{self._bound}"
        self._bound += 1

        def uses() -> Iterator[ast.expr]:
            yield ast.NamedExpr(ast.Name(bound, ast.Store()), self._value(node))
            while True:
                yield _name(bound)

        return uses().__next__

    def _asked(self, name: str, field: ast.cmpop, feature: ast.cmpop) -> ast.expr:
        """Return a comparison of a field with None, or of a feature with itself, as NaN differs."""
        local = self._local[name]
        if name in self._scope.fields:
            return ast.Compare(_name(local), [field], [ast.Constant(None)])
        return ast.Compare(_name(local), [feature], [_name(local)])

    def _is_whole(self, node: Node) -> bool:
        return any(
            self._scope.is_whole(each.name) if isinstance(each, tree.Name) else _is_len(each)
            for each in tree.walk(node)
        )

    def _called(self, function: str, argument: Node) -> str:
        if function == HOUR and isinstance(argument, tree.Name):
            return hour_of(self._scope.fields[argument.name])
        return function


def _needed(node: Node) -> Iterator[str]:
    """Yield the names without which an operand is missing; a flag that is computed never is."""
    if isinstance(node, tree.Name):
        yield node.name
    elif isinstance(node, (tree.Negative, tree.Arithmetic)) or (
        isinstance(node, tree.Call) and node.function != MISSING
    ):
        for each in tree.below(node):
            yield from _needed(each)


def _is_len(node: Node) -> bool:
    return isinstance(node, tree.Call) and node.function == "len"


def _compare(left: ast.expr, operator: str, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [_OPERATORS[operator]()], [right])


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())
