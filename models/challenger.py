"""A model that scores beside the one that decides, and what has come of it in this process."""

from __future__ import annotations

from models.scorer import BatchScorer


class Challenger:
    """A scorer with counts that only grow; they are for people, and decide nothing."""

    def __init__(self, scorer: BatchScorer) -> None:
        self.scorer = scorer
        self.rows = 0
        """Transactions that it has scored."""
        self.agreed = 0
        """Those of them on which the model that decides leads to the same outcome."""
        self.failures = 0
        """Transactions for which it had no score."""
        self.problem = ""
        """Why it had none the last time; empty if it always had one."""

    @property
    def version(self) -> str:
        """The model version."""
        return self.scorer.version
