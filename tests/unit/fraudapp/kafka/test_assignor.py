"""Every worker follows what others write to the tables, whatever partitions there are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, cast

import faust
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.assignor import OwnersAssignor

INPUT: Final = "transactions"
KEPT: Final = 4
"""Partitions of the tables."""


def worker() -> OwnersAssignor:
    """The assignor of a worker with two tables."""
    app = faust.App("test", store="memory://", PartitionAssignor=OwnersAssignor)
    for name in ("counts", "reports"):
        app.GlobalTable(name, partitions=KEPT)
    return cast(OwnersAssignor, app.assignor)


def rebalance(workers: dict[str, OwnersAssignor], partitions: int) -> None:
    """Assign what there is to them, as the group does when one comes, goes or hears of more."""
    leader = next(iter(workers.values()))
    changelogs = leader._table_manager.changelog_topics
    sizes = {INPUT: partitions, **dict.fromkeys(changelogs, KEPT)}
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda topic: set(range(sizes[topic])))
    subscribed = {name: each.metadata(set(sizes)) for name, each in workers.items()}
    assigned = leader.assign(cluster, subscribed)
    for name, assignment in assigned.items():
        workers[name].on_assignment(cast(Any, assignment))


names = st.sets(st.sampled_from("abcde"), min_size=1)


@given(st.lists(st.tuples(names, st.integers(KEPT, KEPT + 4)), min_size=1, max_size=6))
def test_a_worker_hears_of_every_partition_that_another_one_writes(
    moments: list[tuple[set[str], int]],
) -> None:
    workers: dict[str, OwnersAssignor] = {}
    partitions = KEPT
    for members, more in moments:
        partitions = max(partitions, more)
        workers = {name: workers.get(name) or worker() for name in sorted(members)}
        rebalance(workers, partitions)
        owned: list[int] = []
        for each in workers.values():
            own = {tp.partition for tp in each.assigned_actives() if tp.topic == INPUT}
            owned += own
            for topic in each._table_manager.changelog_topics:
                followed = {tp.partition for tp in each.assigned_standbys() if tp.topic == topic}
                assert followed == set(range(KEPT)) - own
        assert sorted(owned) == list(range(partitions))
