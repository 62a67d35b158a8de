"""An expression to its tree, by the precedence that Python gives its operators.

Python's own parser is not asked: it knows far more than rules may say, its messages are not for
those who write rules, and what it accepts depends on its version, while all workers have to agree
on which rules are in force.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Literal

from models.rules import literals, tree
from models.rules.errors import RuleError
from models.rules.tokens import Token, tokens
from models.rules.tree import Node, Span

MAX_CHARACTERS: Final = 2_000
MAX_DEPTH: Final = 32
"""Operations and brackets within each other."""
MAX_NODES: Final = 500
"""Names, values and operations of an expression."""
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
_INSTEAD: Final[Mapping[str, str]] = {
    "None": "ask missing(field)",
    "is": "write ==, or missing(field)",
    "if": "use and, or, not",
    "true": "write True",
    "false": "write False",
}


def parse(text: str) -> Node:
    """Return the tree of an expression; raises `RuleError`."""
    if len(text) > MAX_CHARACTERS:
        problem = f"a rule has {MAX_CHARACTERS:,} characters at most, this one {len(text):,}"
        raise RuleError(text, 0, problem)
    return _Parser(text).whole()


class _Parser:
    """Reads tokens from the left to the right; each method takes those of one construct."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*tokens(text)]
        self._place = 0
        self._open = 0
        self._nodes = 0

    def whole(self) -> Node:
        if len(self._tokens) == 1:
            raise self._error("a rule must say something, such as amount > 1000")
        found = self._or()
        if self._next.kind != "end":
            raise self._error(
                f"after {self._tokens[self._place - 1]} comes an operator such as >, == or and, "
                f"not {self._next}{_instead(self._next)}"
            )
        return found

    def _or(self) -> Node:
        return self._logic("or", lambda: self._logic("and", self._not))

    def _logic(self, operator: Literal["and", "or"], operand: Callable[[], Node]) -> Node:
        operands = [operand()]
        while self._takes(operator):
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        return tree.Logic(self._span(*operands), operator, tuple(operands))

    def _not(self) -> Node:
        start = self._next.start
        if not self._takes("not"):
            return self._comparison()
        operand = self._nested(self._not)
        return tree.Not(self._span(operand, start=start), operand)

    def _comparison(self) -> Node:
        operands, operators = [self._sum()], []
        while operator := self._comparison_operator():
            operators.append(operator)
            if operator.endswith("in"):
                operands.append(self._values())
                if self._comparison_operator():
                    raise self._error("put a comparison with in into brackets to compare it", -1)
                break
            operands.append(self._sum())
        if not operators:
            return operands[0]
        return tree.Comparison(self._span(*operands), tuple(operands), tuple(operators))

    def _comparison_operator(self) -> str | None:
        for each in (*_COMPARISONS, "in"):
            if self._takes(each):
                return each
        if self._next.text == "not" and self._tokens[self._place + 1].text == "in":
            self._place += 2
            return "not in"
        return None

    def _values(self) -> Node:
        first = self._next
        if first.kind == "list":
            self._place += 1
            return tree.ListName(self._span(start=first.start), first.text[1:])
        closing = {"(": ")", "[": "]"}.get(first.text)
        if closing is None:
            raise self._error(
                f"after in comes a list such as @mules, or values such as ('a', 'b'), not {first}"
            )
        self._place += 1
        values, comma = [], True
        while not self._takes(closing):
            if not comma:
                raise self._error(f"between values comes a comma, not {self._next}")
            values.append(self._value())
            comma = self._takes(",")
        if not values:
            raise self._error("there are no values after in", -2)
        if closing == ")" and len(values) == 1 and not comma:
            problem = "one value in round brackets is no list: write == instead of in, or ['a']"
            raise RuleError(self._text, first.start, problem)
        return tree.Values(self._span(*values, start=first.start), tuple(values))

    def _value(self) -> tree.Literal:
        start = self._next
        if self._next.kind in ("number", "text") or self._next.text in ("-", "True", "False"):
            found = self._unary()
            if isinstance(found, tree.Literal):
                return found
        raise RuleError(
            self._text, start.start, f"values after in are numbers and texts, not {start}"
        )

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/", "%"), self._unary))

    def _arithmetic(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        found = operand()
        while (operator := self._next.text) in operators:
            self._place += 1
            right = operand()
            found = tree.Arithmetic(self._span(found, right), operator, found, right)
        return found

    def _unary(self) -> Node:
        start = self._next.start
        if not self._takes("-"):
            return self._atom()
        operand = self._nested(self._unary)
        if isinstance(operand, tree.Literal) and type(operand.value) in (int, float):
            value = -operand.value  # type: ignore[operator]
            return replace(operand, span=operand.span._replace(start=start), value=value)
        return tree.Negative(self._span(operand, start=start), operand)

    def _atom(self) -> Node:
        token = self._next
        self._place += token.kind != "end"
        if token.kind == "number":
            return self._literal(token, literals.number)
        if token.kind == "text":
            return self._literal(token, literals.text)
        if token.text in ("True", "False"):
            return tree.Literal(self._span(start=token.start), token.text == "True")
        if token.text == "(":
            found = self._nested(self._or)
            self._close()
            return replace(found, span=found.span._replace(start=token.start, end=self._end))
        if token.kind == "name" and not keyword.iskeyword(token.text):
            return self._call(token) if self._takes("(") else self._named(token)
        self._place -= token.kind != "end"
        if token.text == "not":
            raise self._error("put not and what follows into brackets here")
        if token.kind == "list":
            raise self._error(f"{token} may only stand after in or not in")
        raise self._error(
            f"here a field, a number, a text or a bracket is missing; there is {token}"
            f"{_instead(token)}"
        )

    def _named(self, token: Token) -> Node:
        return tree.Name(self._span(start=token.start), token.text)

    def _call(self, name: Token) -> Node:
        arguments: list[Node] = []
        if self._next.text != ")":
            arguments.append(self._nested(self._or))
            while self._takes(","):
                arguments.append(self._nested(self._or))
        self._close()
        return tree.Call(self._span(*arguments, start=name.start), name.text, tuple(arguments))

    def _close(self) -> None:
        if not self._takes(")"):
            raise self._error(f"a bracket ) is missing before {self._next}{_instead(self._next)}")

    def _literal(self, token: Token, value: Callable[[str], int | float | str]) -> Node:
        try:
            found = value(token.text)
        except ValueError as exc:
            raise RuleError(self._text, token.start, str(exc)) from exc
        return tree.Literal(self._span(start=token.start), found)

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    @property
    def _end(self) -> int:
        return self._tokens[self._place - 1].end

    def _takes(self, text: str) -> bool:
        """Whether the next token is this name or sign, which is then taken."""
        found = self._next.text == text
        self._place += found
        return found

    def _nested(self, construct: Callable[[], Node]) -> Node:
        """Read a construct within another; limits how deep this class calls itself."""
        self._open += 1
        if self._open > MAX_DEPTH:
            raise self._too_deep(-1)
        found = construct()
        self._open -= 1
        return found

    def _span(self, *below: Node, start: int | None = None) -> Span:
        """Return the span of a new node, from its first token to the one taken last."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(f"a rule has {MAX_NODES} names, values and operations at most", -1)
        depth = 1 + max((each.span.depth for each in below), default=0)
        if depth > MAX_DEPTH:
            raise self._too_deep(-1)
        return Span(below[0].span.start if start is None else start, self._end, depth)

    def _too_deep(self, offset: int) -> RuleError:
        return self._error(f"operations and brackets may be {MAX_DEPTH} deep at most", offset)

    def _error(self, problem: str, offset: int = 0) -> RuleError:
        return RuleError(self._text, self._tokens[max(self._place + offset, 0)].start, problem)


def _instead(token: Token) -> str:
    instead = _INSTEAD.get(token.text)
    return f": {instead}" if instead else ""
