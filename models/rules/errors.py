"""What is wrong with rules, for those who write them."""

from __future__ import annotations

from collections.abc import Mapping

from models.errors import Rejected


class RuleError(Rejected, ValueError):
    """An expression that is no rule; the message says what is wrong, where, and what is allowed."""

    def __init__(self, text: str, start: int, problem: str) -> None:
        """`start` is the place in the text, in characters from 0."""
        self.line = text.count("\n", 0, start) + 1
        """From 1."""
        self.column = start - text.rfind("\n", 0, start)
        """From 1, in characters."""
        self.problem = problem
        super().__init__(f"line {self.line}, column {self.column}: {problem}")


class RulesError(Rejected, ValueError):
    """A set of rules that cannot be in force; the message tells of the first wrong ones."""

    def __init__(self, problem: str, errors: Mapping[int, RuleError] | None = None) -> None:
        self.errors = errors or {}
        """By the place of the rule in the set, from 0."""
        super().__init__(problem)
