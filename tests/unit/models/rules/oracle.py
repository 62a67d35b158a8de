"""The same expressions computed in another way: Python's parser, and a walk over its tree.

It shares nothing with the package but the meaning of the language.
"""

from __future__ import annotations

import ast
import io
import operator
import tokenize
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from models.rules.ruleset import Lists
from models.schema.definition import Definition, Field
from tests.unit.models.rules.making import SCHEMA, Row

NODES: Final = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt),
    *(ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Name, ast.Load, ast.Constant, ast.Call),
    *(ast.Tuple, ast.List),
)
"""All that an expression may have to Python."""
_BINARY: Final[Mapping[type, Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_COMPARED: Final[Mapping[type, Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_FUNCTIONS: Final[Mapping[str, Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "len": len,
    "lower": str.lower,
}
_LIST: Final = "list_"


def parsed(text: str) -> ast.expr:
    """Python's tree of an expression, in brackets, with names for lists."""
    pieces = []
    text = text.replace("\r", " ")  # which Python takes for the end of a line in files only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for token in tokenize.generate_tokens(io.StringIO(f"({text}\n)").readline):
            pieces.append((token.type, _LIST if token.string == "@" else token.string))
        joined = " ".join(string for kind, string in pieces if kind != tokenize.NL)
        whole = ast.parse(joined.replace(f"{_LIST} ", _LIST).strip(), mode="eval")
    for node in ast.walk(whole):
        assert isinstance(node, NODES), ast.dump(node)
    return whole.body


class Oracle:
    """The value of expressions for one row."""

    def __init__(self, row: Row, lists: Lists, definition: Definition = SCHEMA.definition) -> None:
        self._fields = definition.fields
        self._values = dict(zip(definition.features, row.features, strict=True))
        self._values |= {name: getattr(row.transaction, name) for name in definition.fields}
        self._values["score"] = row.score
        self._lists = lists

    def hits(self, node: ast.expr) -> bool | None:
        """Whether a rule hits; None if it cannot be computed."""
        try:
            return self._truth(node)
        except ArithmeticError:
            return None

    def _truth(self, node: ast.expr) -> bool:
        if isinstance(node, ast.BoolOp):
            found = map(self._truth, node.values)
            return all(found) if isinstance(node.op, ast.And) else any(found)
        if isinstance(node, ast.UnaryOp):
            return not self._truth(node.operand)
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.Call):
            return self._is_missing(node.args[0])
        return bool(self._value(node))

    def _compare(self, node: ast.Compare) -> bool:
        if any(map(self._is_missing, (node.left, *node.comparators))):
            return False
        left = self._value(node.left)
        for compared, comparator in zip(node.ops, node.comparators, strict=True):
            right = self._value(comparator)
            if left != left or right != right or not _COMPARED[type(compared)](left, right):
                return False
            left = right
        return True

    def _is_missing(self, node: ast.AST) -> bool:
        if isinstance(node, (ast.BoolOp, ast.Compare)):
            return False
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return False
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return node.func.id != "missing" and any(map(self._is_missing, node.args))
        if isinstance(node, ast.Name):
            value = self._value(node)
            return value is None or value != value
        return any(map(self._is_missing, ast.iter_child_nodes(node)))

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            if node.id.startswith(_LIST):
                return self._lists.get(node.id.removeprefix(_LIST), ())
            return self._values[node.id]
        if isinstance(node, (ast.Tuple, ast.List)):
            return [self._value(each) for each in node.elts]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._value(node.operand)
        if isinstance(node, ast.BinOp):
            return _BINARY[type(node.op)](self._value(node.left), self._value(node.right))
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            if node.func.id != "missing":
                return self._called(node.func.id, node.args)
        return self._truth(node)

    def _called(self, name: str, arguments: list[ast.expr]) -> Any:
        values = [self._value(each) for each in arguments]
        if name == "hour":
            assert isinstance(arguments[0], ast.Name)
            return _hour(self._fields[arguments[0].id], values[0])
        for each in values:
            if each != each:
                return each
        return _FUNCTIONS[name](*values)


def _hour(field: Field, value: Any) -> int:
    if field.format == "hour":
        return int(value) % 24
    if not isinstance(value, datetime):
        seconds = value / 1_000 if field.format == "epoch_ms" else value
        value = datetime.fromtimestamp(seconds, timezone.utc)
    return int(value.astimezone(timezone.utc).hour)
