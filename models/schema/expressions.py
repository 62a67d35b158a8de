"""Features as expressions, and the two functions that are compiled of them.

Each expression holds for one row in plain Python and for whole columns in numpy alike. So the two
forms cannot differ, and a single row is spared the calls of numpy. Of a schema file, only the names
of fields get into the source; `models.schema.reading` has checked them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from models.schema.definition import Definition, Feature, Field, operation
from models.schema.fields import bounds, unit

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
THURSDAY: Final = 3.0
"""The day of the week of 1 January 1970, from Monday."""


class Expressions:
    """The expressions of all features, and the names of what they are made of.

    `v0` is the number of a field, `l0` its log, `k0` the place of a category's value among
    `values`, `W0` a table of whether the value at a place is one of several, `m0` whether a text is
    missing, `u0` what training has learned of a text.
    """

    def __init__(self, definition: Definition) -> None:
        self.numbers: list[str] = []
        """Fields `v0`, `v1`, ..."""
        self.logs: list[int] = []
        """Numbers `l0`, `l1`, ... are the logs of."""
        self.categories: list[str] = []
        """Fields `k0`, `k1`, ..."""
        self._values: list[dict[str, int]] = []  # by category, the place of each value
        self.blanks: list[str] = []
        """Fields `m0`, `m1`, ..."""
        self.learned: list[tuple[str, str]] = []
        """Feature and field of `u0`, `u1`, ..."""
        # What several expressions may need: `d0` is a difference of two numbers, `e0` whether a
        # category has a value.
        self._pairs: list[tuple[str, str]] = []
        self._matches: list[tuple[int, int]] = []
        # Categories `k`, and the places that table `W0`, `W1`, ... has of each.
        self._choices: list[tuple[int, frozenset[int]]] = []
        self._fields = definition.known()
        self.all = [self._of(name, each) for name, each in definition.features.items()]

    @property
    def values(self) -> list[list[str]]:
        """By category, the values that are told from each other."""
        return [[*each] for each in self._values]

    def _of(self, name: str, feature: Feature) -> str:
        kind, operands = operation(feature)
        fields = [self._fields[each] for each in operands]
        if kind in ("frequency", "rate"):
            return f"u{_place(self.learned, (name, operands[0]))}"
        if kind == "one_hot" and feature.value is not None:
            return self._is(operands[0], feature.value)
        if kind == "missing" and fields[0].type in ("text", "category"):
            return f"m{_place(self.blanks, operands[0])}"
        first, *rest = (f"v{_place(self.numbers, each)}" for each in operands)
        if kind == "missing":
            return f"{first} != {first}"
        if kind == "one_hot":
            return f"{first} == 1.0"
        made = {
            "number": lambda: first,
            "log": lambda: self._log(operands[0]),
            "ratio": lambda: f"{self._log(operands[0])} - {self._log(operands[1])}",
            "difference": lambda: self._difference(first, rest[0]),
            "equal": lambda: self._equal(feature, first, rest[0], half_unit(fields[0])),
            "exceeds": lambda: (
                f"({self._difference(first, rest[0])} > {half_unit(fields[0])!r})"
                f"{self._when(feature)}"
            ),
            "zero": lambda: f"{first} == 0.0",
            "hour_of_day": lambda: _hour_of_day(first, fields[0]),
            "day_of_week": lambda: _day_of_week(first, fields[0]),
        }[kind]()
        unknown = [
            f"({each} != {each})"
            for each, field in zip((first, *rest), fields, strict=True)
            if field.optional and kind in ("equal", "exceeds", "zero")
        ]
        return f"where({' | '.join(unknown)}, nan, {made})" if unknown else made

    def _log(self, name: str) -> str:
        place = _place(self.numbers, name)
        log = f"l{_place(self.logs, place)}"
        return f"copysign({log}, v{place})" if self._signed(place) else log

    def _equal(self, feature: Feature, first: str, second: str, half: float) -> str:
        positive = f" & ({first} > {half!r})" if feature.positive else ""
        gap = self._difference(first, second)
        return f"(abs({gap}) <= {half!r}){self._when(feature)}{positive}"

    def _when(self, feature: Feature) -> str:
        return "".join(
            f" & {self._is_one_of(name, values)}" for name, values in (feature.when or {}).items()
        )

    def _is(self, name: str, value: str) -> str:
        category, known = self._category(name)
        return f"e{_place(self._matches, (category, known.setdefault(value, len(known))))}"

    def _is_one_of(self, name: str, values: Sequence[str]) -> str:
        category, known = self._category(name)
        places = frozenset(known.setdefault(each, len(known)) for each in values)
        return f"W{_place(self._choices, (category, places))}[k{category}]"

    def _category(self, name: str) -> tuple[int, dict[str, int]]:
        category = _place(self.categories, name)
        if category == len(self._values):
            listed = self._fields[name].values or ()
            self._values.append({value: at for at, value in enumerate(listed)})
        return category, self._values[category]

    def _tables(self) -> dict[str, list[bool]]:
        """Return `W0`, `W1`, ...; the last entry of each is for place -1, of all other values."""
        return {
            f"W{n}": [place in places for place in range(len(self._values[category]))] + [False]
            for n, (category, places) in enumerate(self._choices)
        }

    def one(self, given: Mapping[str, Any]) -> Callable[[Any], list[float] | None]:
        """Return a function of a transaction to its row of the matrix.

        It returns None for a number out of its bounds, and raises `KeyError` for a value that a
        category does not have. `given` has `K0`, `K1`, ... and `U0`, `U1`, ...: the tables of
        categories and of learned features, and `N0`, `N1`, ...: functions to numbers, where needed.
        """
        lines = [
            *self._numbers_of_one(given),
            *(f"k{n} = K{n}[t.{name}]" for n, name in enumerate(self.categories)),
            *(f"m{n} = t.{name} is None" for n, name in enumerate(self.blanks)),
            *(f"u{n} = U{n}[t.{name}]" for n, (_, name) in enumerate(self.learned)),
        ]
        if self.logs:
            logs = "".join(f"abs(v{n}), " if self._signed(n) else f"v{n}, " for n in self.logs)
            lines.append(f"{_names('l', self.logs)}= log1p(({logs})).tolist()")
        lines += [*self._shared(), f"return [{', '.join(self.all)}]"]
        return self._compiled("t", lines, math.copysign, _where, {**given, **self._tables()})

    def _numbers_of_one(self, given: Mapping[str, Any]) -> Iterator[str]:
        for n, name in enumerate(self.numbers):
            yield f"v{n} = N{n}(t.{name})" if f"N{n}" in given else f"v{n} = t.{name}"
            known = f"v{n} == v{n} and " if self._fields[name].optional else ""
            least = bounds(self._fields[name])[0]
            yield f"if {known}not ({least!r} <= v{n} < inf): return None"

    def many(self) -> Callable[..., None]:
        """Return a function that fills a matrix, with features as rows, from columns.

        They are the table of numbers, and sequences of places, blanks and learned numbers.
        """
        columns: dict[str, Sequence[object]] = {
            "v": self.numbers,
            "k": self.categories,
            "m": self.blanks,
            "u": self.learned,
        }
        lines = [f"{_names(letter, each)}= {letter}" for letter, each in columns.items() if each]
        if self.logs:
            table = "v" if self.logs == [*range(len(self.numbers))] else f"v[{self.logs!r}]"
            signed = any(map(self._signed, self.logs))
            lines.append(f"{_names('l', self.logs)}= log1p({f'abs({table})' if signed else table})")
        filled = [f"out[{row}] = {each}" for row, each in enumerate(self.all)]
        lines += [*self._shared(), *filled]
        tables = {name: np.array(each) for name, each in self._tables().items()}
        return self._compiled("v, k, m, u, out", lines, np.copysign, np.where, tables)

    def _compiled(
        self, arguments: str, lines: Sequence[str], copysign: Any, where: Any, given: Any
    ) -> Callable[..., Any]:
        names: dict[str, Any] = {"log1p": np.log1p, "nan": math.nan, "inf": math.inf, **given}
        names |= {"copysign": copysign, "where": where}
        source = "\n ".join([f"def f({arguments}):", *lines])
        exec(compile(source, "<features of a schema>", "exec"), names)  # noqa: S102
        made: Callable[..., Any] = names["f"]
        return made

    def _shared(self) -> Iterator[str]:
        yield from (f"d{n} = {a} - {b}" for n, (a, b) in enumerate(self._pairs))
        yield from (f"e{n} = k{a} == {place}" for n, (a, place) in enumerate(self._matches))

    def _difference(self, first: str, second: str) -> str:
        return f"d{_place(self._pairs, (first, second))}"

    def _signed(self, number: int) -> bool:
        return bounds(self._fields[self.numbers[number]])[0] < 0.0


def half_unit(field: Field) -> float:
    """Return half the smallest unit of an amount: amounts nearer than this are equal."""
    return unit(field) / 2


def _names(letter: str, each: Sequence[Any]) -> str:
    return "".join(f"{letter}{n}, " for n in range(len(each)))


def _place(known: list[Any], new: Any) -> int:
    if new not in known:
        known.append(new)
    return known.index(new)


def _where(condition: Any, one: float, other: float) -> float:
    return one if condition else other


def _hour_of_day(number: str, field: Field) -> str:
    if field.format == "hour":
        return f"{number} % 24.0"
    return f"{number} % {DAY * _seconds(field)} / {HOUR * _seconds(field)}"


def _day_of_week(number: str, field: Field) -> str:
    if field.format == "hour":
        return f"{number} // 24.0 % 7.0"
    return f"({number} // {DAY * _seconds(field)} + {THURSDAY}) % 7.0"


def _seconds(field: Field) -> float:
    """Return the units of a time in a second."""
    return 1e3 if field.format == "epoch_ms" else 1.0
