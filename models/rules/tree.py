"""The tree of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import NamedTuple, TypeAlias, Union


class Span(NamedTuple):
    """The place of a node in its text, in characters from 0."""

    start: int
    end: int
    depth: int
    """How many nodes lie below each other, this one included."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, True or False."""

    span: Span
    value: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Name:
    """A field, a feature or the score."""

    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class Values:
    """The values after `in`."""

    span: Span
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class ListName:
    """A list after `in`."""

    span: Span
    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    """A number with a minus before it."""

    span: Span
    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and an operator between them."""

    span: Span
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """Operands, and an operator between each two."""

    span: Span
    operands: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a flag."""

    span: Span
    operand: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """Flags, of which all have to be true, or one."""

    span: Span
    operator: OneOf["and", "or"]
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of its arguments."""

    span: Span
    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Union[  # noqa: UP007 - a name that is defined later needs a text here
    Literal, Name, Values, ListName, Negative, Arithmetic, Comparison, Not, Logic, Call
]


def below(node: Node) -> tuple[Node, ...]:
    """Return the nodes that a node is made of, from the left to the right."""
    match node:
        case Values(values=values):
            return values
        case Negative(operand=operand) | Not(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right):
            return (left, right)
        case Comparison(operands=operands) | Logic(operands=operands):
            return operands
        case Call(arguments=arguments):
            return arguments
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, from the left to the right."""
    yield node
    for each in below(node):
        yield from walk(each)
