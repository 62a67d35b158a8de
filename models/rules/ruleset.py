"""A set of rules as one function, which says for each transaction which of them hit."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final

from models.records import Transaction
from models.rules.errors import RuleError, RulesError
from models.rules.linking import Locals, linked
from models.rules.rule import Rule, read
from models.rules.scope import Scope
from models.schema.features import Matrix
from models.schema.schema import Schema

Lists = Mapping[str, Container[str]]
"""The lists of a policy, by name."""
Hits = list[tuple[int, ...]]
"""By transaction, the places of the rules that hit it; mostly the empty tuple."""

MAX_RULES: Final = 500
MAX_NODES: Final = 20_000
"""Names, values and operations of all rules; 500 rules of five comparisons have 8,000."""
NO_LISTS: Final[Lists] = MappingProxyType({})
MAX_CHARACTERS: Final = 200_000
"""Of all rules; brackets are no nodes, and take time as well."""
_TOLD: Final = 10
"""Wrong rules that a message tells of."""
_EMPTY: Final[Container[str]] = frozenset()


class RuleSet:
    """Rules that are in force together.

    A rule that cannot be computed for a transaction, such as one that divides by zero, does not hit
    it; that is counted, and neither other rules nor other transactions notice.
    """

    def __init__(self, rules: Sequence[str], schema: Schema) -> None:
        """Raise `RulesError`, which names each rule that is none in this schema."""
        scope = Scope(schema.definition)
        self.rules = _read(rules, scope)
        """The rules, with what each of them uses."""
        self.fields = _all(each.fields for each in self.rules)
        self.features = _all(each.features for each in self.rules)
        self.lists = _all(each.lists for each in self.rules)
        """Names of the lists that the rules look into; one that there is not is empty."""
        self.failures = [0] * len(self.rules)
        """How often each rule could not be computed."""
        self.causes: dict[int, str] = {}
        """By the place of a rule, why it could not be computed the last time."""
        self._columns = [schema.features.names.index(each) for each in self.features]
        self._hits = linked(
            self.rules,
            Locals(self.fields, self.features, self.lists),
            schema.facts_type,
            scope,
            self._failed,
        )

    def hits(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix | None = None,
        lists: Lists = NO_LISTS,
    ) -> Hits:
        """Return which rules hit each transaction; no row depends on another.

        `matrix` has the features of the transactions as the model sees them, and may be left out if
        no rule uses one. Raises `ValueError` if the numbers of rows differ.
        """
        if not self.rules:
            return [()] * len(transactions)
        columns = [matrix[:, each].tolist() for each in self._columns] if matrix is not None else []
        if len(columns) < len(self._columns):
            raise ValueError(f"rules use the features {', '.join(self.features)}: give the matrix")
        return self._hits(
            transactions, scores, columns, [lists.get(each, _EMPTY) for each in self.lists]
        )

    def _failed(self, place: int) -> None:
        self.failures[place] += 1
        self.causes[place] = f"{type(error := sys.exc_info()[1]).__name__}: {error}"


def check(rules: Sequence[str], schema: Schema) -> None:
    """Raise `RulesError` as a `RuleSet` does, and compile nothing."""
    _read(rules, Scope(schema.definition))


def _read(texts: Sequence[str], scope: Scope) -> tuple[Rule, ...]:
    if len(texts) > MAX_RULES:
        raise RulesError(f"a set has {MAX_RULES} rules at most, this one {len(texts):,}")
    if (characters := sum(map(len, texts))) > MAX_CHARACTERS:
        raise RulesError(
            f"the rules of a set have {MAX_CHARACTERS:,} characters at most, these {characters:,}"
        )
    rules: list[Rule] = []
    errors: dict[int, RuleError] = {}
    nodes = 0
    for place, text in enumerate(texts):
        try:
            rules.append(read(text, scope))
        except RuleError as exc:
            errors[place] = exc
        else:
            nodes += rules[-1].nodes
            if nodes > MAX_NODES:
                raise RulesError(
                    f"the rules of a set have {MAX_NODES:,} names, values and operations at most, "
                    f"and these more, from rule {place + 1} on"
                )
    if errors:
        told = [f"rule {place + 1}: {each}" for place, each in errors.items()]
        more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
        raise RulesError("; ".join([*told[:_TOLD], *more]), errors)
    return tuple(rules)


def _all(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(names)))
