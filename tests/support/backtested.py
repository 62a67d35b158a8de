"""Decisions as workers make them while policies, lists and caps change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.control.chain import Candidate
from models.control.records import (
    CapKey,
    Capped,
    ControlRecord,
    Key,
    Listed,
    ListKey,
    PolicyKey,
    Proposed,
    Removed,
    Value,
)
from models.control.state import ControlState
from models.deciding import decide
from models.inputs import Input, Position, ValidInput
from models.policies.in_force import InForce, of_thresholds
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.policy import Policy
from models.records import Decision, Reason, Transaction
from models.schema.schema import PAYSIM, Schema


class ByAmount:
    """A scorer whose score is what a whole amount has beyond thousands: .25 for 7,250."""

    version = "by-amount"
    columns = "of a test"

    def matrix(self, transactions: Sequence[Transaction]) -> Any:
        """See `BatchScorer.matrix`."""
        return PAYSIM.features.matrix(transactions)

    def score_matrix(self, matrix: Any) -> NDArray[np.float64]:
        """See `BatchScorer.score_matrix`."""
        logs = matrix[:, PAYSIM.features.names.index("log_amount")].astype(np.float64)
        scores: NDArray[np.float64] = np.round(np.expm1(logs)) % 1_000 / 1_000
        return scores

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """See `BatchScorer.explain`."""
        return [[] for _ in rows]


class World:
    """A control log, and what workers decide who have read it to its end."""

    def __init__(
        self, thresholds: Policy | None = None, schema: Schema = PAYSIM, stride: int = 2
    ) -> None:
        """`stride` is by how much offsets of the control log rise: others may write there, too."""
        self._stride = stride
        self.records: list[ControlRecord] = []
        self.state = ControlState()
        self._schema = schema
        self._thresholds = of_thresholds(thresholds or Policy(), schema)
        self._made = 0

    @property
    def member(self) -> Candidate | None:
        """The policy in force."""
        return self.state.chain.members[-1] if self.state.chain.members else None

    def say(self, key: Key, value: Value) -> None:
        """Append a record to the control log."""
        offset = self._stride * (len(self.records) + 1) - 1
        record = ControlRecord(offset, 0, key, value)
        self.records.append(record)
        self.state.apply(record)

    def propose(self, text: str) -> None:
        """Put a policy in force."""
        id_ = f"{len(self.records):032x}"
        self.say(PolicyKey(id_), Proposed(parent=self.state.chain.head, text=text, author="x"))

    def enter(self, name: str, *entries: str, until: datetime | None = None) -> None:
        """Add entries to a list."""
        for each in entries:
            self.say(ListKey(name, each), Listed(author="x", expires_at=until))

    def remove(self, name: str, *entries: str) -> None:
        """Remove entries from a list."""
        for each in entries:
            self.say(ListKey(name, each), Removed())

    def cap(self, rule: str = "", *, on: bool) -> None:
        """Begin or end a cap of the policy in force."""
        policy = self.member.id if self.member else ""
        self.say(CapKey(policy, rule), Capped(on=on, share=0.5, author="w"))

    def in_force(self) -> InForce:
        """Return what decides now."""
        if self.member is None:
            return self._thresholds
        ruling = Ruling(read(self.member.proposed.text.encode(), self._schema), self._schema)
        return self.state.in_force(self.member, ruling)

    def decide(self, transactions: Sequence[Transaction], now: datetime) -> list[Decision]:
        """Return the decisions of a batch."""
        candidates = []
        for each in transactions:
            where = Position("transactions", 0, self._made)
            self._made += 1
            candidates.append(ValidInput(each, Input(None, b"", where, where)))
        return decide(
            candidates, scorer=ByAmount(), policy=self.in_force(), now=now, schema=self._schema
        )
