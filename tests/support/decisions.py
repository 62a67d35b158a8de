"""Decisions for tests."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from typing import Any

from hypothesis import strategies as st

from models.key_hash import key_partitions
from models.records import Decision, Outcome, Reason, Shadow
from tests.support.transactions import transaction, transactions

DECIDED_AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=timezone.utc)


def decision(transaction_id: str = "t1", *, offset: int = 0, **changes: Any) -> Decision:
    """A decision on a valid transaction."""
    fields: dict[str, Any] = {
        "transaction_id": transaction_id,
        "decision": Outcome.BLOCK,
        "score": 0.875,
        "reasons": [Reason("DRAINED", "It empties the account.", 2.5)],
        "model_version": "m1",
        "policy_version": "p1",
        "decided_at": DECIDED_AT,
        "topic": "transactions",
        "partition": 0,
        "offset": offset,
        "transaction": transaction(transaction_id),
    }
    return Decision(**{**fields, **changes})


def id_in_partition(partition: int, number: int, partitions: int) -> str:
    """An id with this key partition, another one for each number."""
    tried = (f"t{number}-{each}" for each in itertools.count())
    return next(each for each in tried if key_partitions([each], partitions) == [partition])


decisions = st.builds(
    lambda each, outcome, score, partition, offset, moment, hits, shadow: decision(
        each.transaction_id,
        transaction=each,
        decision=outcome,
        score=score,
        partition=partition,
        offset=offset,
        decided_at=moment.replace(tzinfo=timezone.utc, fold=0),
        hits=hits,
        shadow=shadow,
    ),
    transactions,
    st.sampled_from(Outcome),
    st.floats(0, 1),
    st.integers(0, 100),
    st.integers(0, 2**62),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.lists(st.sampled_from(["large", "at_night", "mule_2"]), unique=True),
    st.dictionaries(
        st.sampled_from(["m2", "m3"]),
        st.builds(Shadow, st.floats(0, 1), st.sampled_from(Outcome)),
    ),
)
