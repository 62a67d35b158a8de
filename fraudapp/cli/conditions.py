"""Conditions on a backtest, by which a job in CI fails."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import click

from models.policies.backtest import Backtest
from models.policies.intervals import Share

_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(<=|>=|<|>|==|!=)\s*(\d+\.?\d*|\.\d+)\s*(%?)\s*")
_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _value(share: Share | None) -> float | None:
    return None if share is None else share.value


_FIGURES: Final[Mapping[str, Callable[[Backtest], float | None]]] = {
    "rows": lambda found: found.rows,
    "block_share": lambda found: found.share("BLOCK"),
    "flag_share": lambda found: found.share("FLAG"),
    "approve_share": lambda found: found.share("APPROVE"),
    "changed": lambda found: found.changed,
    "changed_share": lambda found: found.changed / found.rows if found.rows else 0.0,
    "precision": lambda found: _value(found.precision("after")),
    "recall": lambda found: _value(found.recall("after")),
    "failures": lambda found: sum(each.failures for each in found.rules),
}
"""What may be asked for; None where it is not known."""


class Condition(NamedTuple):
    """One condition."""

    text: str
    figure: str
    comparison: str
    number: float

    @classmethod
    def of(cls, text: str) -> Condition:
        """Return the condition that a text is; raises `click.UsageError`."""
        match = _CONDITION.fullmatch(text)
        if match is None or match[1] not in _FIGURES:
            raise click.UsageError(
                f"--fail-if {text!r:.80}: write one of {', '.join(_FIGURES)}, a comparison and a "
                "number, such as 'block_share > 0.5%'"
            )
        number = float(match[3]) / (100 if match[4] else 1)
        return cls(text, match[1], match[2], number)

    def holds(self, found: Backtest) -> bool:
        """Whether it holds; one about a figure that is not known does, since nobody can rule it
        out."""
        figure = _FIGURES[self.figure](found)
        return figure is None or _OPERATORS[self.comparison](figure, self.number)

    def __str__(self) -> str:
        return self.text
