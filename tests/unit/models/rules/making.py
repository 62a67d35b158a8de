"""A schema with fields of every type, rows for it, and expressions made at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from typing import Any, Final, NamedTuple

import numpy as np
from hypothesis import strategies as st

from models.rules.ruleset import Lists
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.features import Matrix
from models.schema.schema import Schema

FIELDS: Final = {
    ID: Field(type="text", role="id"),
    "amount": Field(type="amount", role="amount"),
    "balance": Field(type="amount", optional=True),
    "change": Field(type="number", optional=True),
    "tries": Field(type="number", whole=True, optional=True),
    "kind": Field(type="category", role="kind", values=["A", "B", "C"]),
    "card": Field(type="text", role="sender"),
    "shop": Field(type="text", role="receiver", optional=True),
    "online": Field(type="flag", optional=True),
    "abroad": Field(type="flag", form="0/1"),
    "at": Field(type="time", role="time", format="iso8601"),
    "opened": Field(type="time", format="iso8601", optional=True),
    "epoch": Field(type="time", format="epoch", optional=True),
    "millis": Field(type="time", format="epoch_ms", optional=True),
    "step": Field(type="time", format="hour", optional=True),
    "fraud": Field(type="flag", role="label", default=False),
    "heavy": Field(type="number", role="weight", default=1.0),
}
FEATURES: Final = {
    "log_change": Feature(number="change"),
    "unused": Feature(zero="amount"),
    "is_a": Feature(one_hot="kind", value="A"),
}
SCHEMA: Final = Schema(Definition(name="made", fields=FIELDS, features=FEATURES))
LISTS: Final[Lists] = {"mules": {"x", "Y", ""}, "trusted": frozenset({"it's", "x"})}

NUMBERS: Final = (
    *("amount", "balance", "change", "tries", "epoch", "millis", "step", "score"),
    *("log_change", "is_a"),
)
TEXTS: Final = ("kind", "card", "shop", ID)
FLAGS: Final = ("online", "abroad")
TIMES: Final = ("at", "opened")
LITERALS: Final = (
    *("0", "1", "2", ".5", "1.", "1e3", "7", "24", "100", "1_000", "9007199254740992"),
    *("1e15", "1e200", "1e308", "1E-9", "0.1"),
)
WORDS: Final = ("x", "Y", "", "it's", "@mules", "# no", "a\\b", "Zürich", "A", "in", 'a"b')
RANDOMS: Final = st.integers(0, 2**64).map(Random)
"""A seed says all of a failure, and is found again in an instant."""
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
SPACES: Final = ("", "", " ", " ", "  ", "\n", "\t", "\r\n")


class Row(NamedTuple):
    """A transaction, its score and its row of the matrix."""

    transaction: Any
    score: float
    features: list[float]


def rows(random: Random, count: int) -> list[Row]:
    """Rows in which equal values, zeros and missing ones are frequent."""
    return [
        Row(
            transaction(random),
            random.choice([0.0, 0.5, 1.0, random.random()]),
            [random.choice([math.nan, 0.0, 1.0, 7.0, -2.5]) for _ in FEATURES],
        )
        for _ in range(count)
    ]


def transaction(random: Random) -> Any:
    """A transaction that fits the schema."""
    money = (0.0, 1.0, 7.0, 100.0, 0.1, 1e15, round(random.uniform(0, 2_000), 2))
    whole = (0, 1, 2, 7, 24, 100, 10**15)
    optional = {
        "balance": random.choice(money),
        "change": -random.choice(money) if random.random() < 0.5 else random.choice(money),
        "tries": random.choice((*whole, -1)),
        "shop": random.choice(WORDS),
        "online": random.random() < 0.5,
        "opened": _moment(random),
        "epoch": random.choice((0.0, -1.0, 86_399.5, random.uniform(-2e9, 4e9))),
        "millis": random.choice((0, 1_000, random.randrange(4 * 10**12))),
        "step": random.choice((1, 7, 24, random.randrange(1, 2**31))),
    }
    return SCHEMA.transaction(
        transaction_id=random.choice(WORDS) or "x",
        amount=random.choice(money),
        kind=random.choice("ABC"),
        card=random.choice(WORDS),
        abroad=random.choice((0, 1)),
        at=_moment(random),
        **{name: value for name, value in optional.items() if random.random() < 0.7},
    )


def matrix(made: list[Row]) -> Matrix:
    """The matrix of rows."""
    return np.array([row.features for row in made], dtype=np.float32).reshape(len(made), -1)


def _moment(random: Random) -> datetime:
    zone = timezone(timedelta(minutes=random.choice((0, 60, -570))))
    return datetime(2026, random.choice((1, 7)), 1, random.randrange(24), 59, tzinfo=zone)


class Expression:
    """Makes the tokens of an expression of which the types are right."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def text(self, depth: int = 4) -> str:
        """An expression that is a rule."""
        return self.spaced(self.flag(depth))

    def spaced(self, tokens: list[str]) -> str:
        """The tokens with any spaces that leave them the tokens that they are."""
        found = tokens[0]
        for before, after in pairwise(tokens):
            glued = _is_word(before[-1]) and _is_word(after[0])
            glued |= _is_word(before[-1]) and after[0] in "'\""
            found += (" " if glued else "") + self._random.choice(SPACES) + after
        return found

    def flag(self, depth: int) -> list[str]:
        if depth <= 0:
            return [self._random.choice((*FLAGS, "True", "False"))]
        return self._one_of(
            lambda: self._compared(depth),
            lambda: self._compared(depth),
            lambda: self._in(depth),
            lambda: [*self._bracketed(self.flag(depth - 1)), "or", *self.flag(depth - 1)],
            lambda: [*self.flag(depth - 1), "and", *self.flag(depth - 1), "or", "online"],
            lambda: ["not", *self.flag(depth - 1)],
            lambda: ["missing", "(", self._any((*NUMBERS[:7], *NUMBERS[8:], *TEXTS, *FLAGS)), ")"],
            lambda: [self._any(FLAGS)],
            lambda: self._bracketed(self.flag(depth - 1)),
        )

    def number(self, depth: int) -> list[str]:
        if depth <= 0:
            return [self._any((*NUMBERS, *NUMBERS, *LITERALS))]
        return self._one_of(
            lambda: self.number(0),
            lambda: [*self.number(depth - 1), self._any("+-*/%"), *self.number(depth - 1)],
            lambda: [*self._bracketed(self.number(depth - 1)), self._any("+-*/%"), *self.number(0)],
            lambda: ["-", *self._atomic(self.number(depth - 1))],
            lambda: ["abs", *self._bracketed(self.number(depth - 1))],
            lambda: [
                self._any(("min", "max")),
                *self._bracketed([*self.number(depth - 1), ",", *self.number(depth - 1)]),
            ],
            lambda: ["len", *self._bracketed(self.words(depth - 1))],
            lambda: ["hour", "(", self._any(("at", "opened", "epoch", "millis", "step")), ")"],
        )

    def words(self, depth: int) -> list[str]:
        if depth <= 0:
            return [self._any((*TEXTS[1:], *TEXTS[1:], self._quoted()))]
        return self._one_of(
            lambda: self.words(0), lambda: ["lower", *self._bracketed(self.words(depth - 1))]
        )

    def _compared(self, depth: int) -> list[str]:
        kind = self._random.randrange(8)
        operand: Callable[[], list[str]]
        if kind < 4:
            operand = lambda: self.number(depth - 1)  # noqa: E731
        elif kind < 5:
            operand = lambda: self.words(depth - 1)  # noqa: E731
        elif kind < 6:
            return ["kind", self._any(COMPARISONS), self._any(("'A'", '"B"', "card"))]
        elif kind < 7:
            operand = lambda: [self._any(TIMES)]  # noqa: E731
        else:
            operands = [self._bracketed(self.flag(depth - 1)) for _ in range(3)]
            first, second, third = self._random.sample([*operands, ["abroad"], ["online"]], 3)
            return [*first, self._any(("==", "!=")), *second, self._any(("==", "!=")), *third]
        found = operand()
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            found += [self._any(COMPARISONS), *operand()]
        return self._without_unknown_values(found)

    def _without_unknown_values(self, tokens: list[str]) -> list[str]:
        """A closed category may only be compared with its values."""
        known = "'A'"
        return [known if t[0] in "'\"" and "kind" in tokens else t for t in tokens]

    def _in(self, depth: int) -> list[str]:
        operator = self._any((["in"], ["not", "in"]))
        if self._random.random() < 0.5:
            return [
                *self.words(min(depth - 1, 2)),
                *operator,
                self._any(("@mules", "@trusted", "@no")),
            ]
        opening, closing = self._any(("[]", "()"))
        if self._random.random() < 0.5:
            values = [self._any(LITERALS) for _ in range(self._random.randrange(1, 6))]
            left = self.number(depth - 1)
        else:
            values = [self._quoted() for _ in range(self._random.randrange(1, 6))]
            left = [self._any(("card", "shop"))]
        inside = [token for value in values for token in (value, ",")]
        return [*left, *operator, opening, *inside, closing]

    def _quoted(self) -> str:
        word = self._random.choice(WORDS)
        quote = self._random.choice("'\"")
        return quote + word.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote

    def _bracketed(self, tokens: list[str]) -> list[str]:
        return ["(", *tokens, ")"]

    def _atomic(self, tokens: list[str]) -> list[str]:
        return tokens if len(tokens) == 1 else self._bracketed(tokens)

    def _one_of(self, *ways: Callable[[], list[str]]) -> list[str]:
        return self._random.choice(ways)()

    def _any(self, choices: Any) -> Any:
        return self._random.choice(choices)


def _is_word(character: str) -> bool:
    return character.isalnum() or character in "_."
