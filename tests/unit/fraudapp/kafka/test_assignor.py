"""Every worker follows the changelog partitions that others write, however topics have grown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, cast

import faust
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.assignor import OwnersAssignor

INPUT: Final = "transactions"
CHANGELOG_PARTITIONS: Final = 4


def worker(*tables: str) -> OwnersAssignor:
    """The assignor of a worker with these global tables, two by default."""
    app = faust.App("test", store="memory://", PartitionAssignor=OwnersAssignor)
    for name in tables or ("counts", "reports"):
        app.GlobalTable(name, partitions=CHANGELOG_PARTITIONS)
    return cast(OwnersAssignor, app.assignor)


def changelogs(of: OwnersAssignor) -> set[str]:
    """The changelog topics that a worker knows."""
    return set(of._table_manager.changelog_topics)


def rebalance(workers: dict[str, OwnersAssignor], partitions: int) -> None:
    """Assign all topics to these workers, with this many partitions of the input."""
    leader = next(iter(workers.values()))
    topics = {name: {INPUT, *changelogs(each)} for name, each in workers.items()}
    sizes = dict.fromkeys(set().union(*topics.values()), CHANGELOG_PARTITIONS)
    sizes[INPUT] = partitions
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda topic: set(range(sizes[topic])))
    subscribed = {name: each.metadata(topics[name]) for name, each in workers.items()}
    assigned = leader.assign(cluster, subscribed)
    for name, assignment in assigned.items():
        workers[name].on_assignment(cast(Any, assignment))


names = st.sets(st.sampled_from("abcde"), min_size=1)


@given(
    st.lists(
        st.tuples(names, st.integers(CHANGELOG_PARTITIONS, CHANGELOG_PARTITIONS + 4)),
        min_size=1,
        max_size=6,
    )
)
def test_a_worker_follows_every_changelog_partition_that_another_one_writes(
    generations: list[tuple[set[str], int]],
) -> None:
    workers: dict[str, OwnersAssignor] = {}
    partitions = CHANGELOG_PARTITIONS
    for members, more in generations:
        partitions = max(partitions, more)
        workers = {name: workers.get(name) or worker() for name in sorted(members)}
        rebalance(workers, partitions)
        owned: list[int] = []
        for each in workers.values():
            own = {tp.partition for tp in each.assigned_actives() if tp.topic == INPUT}
            owned += own
            for topic in each._table_manager.changelog_topics:
                followed = {tp.partition for tp in each.assigned_standbys() if tp.topic == topic}
                assert followed == set(range(CHANGELOG_PARTITIONS)) - own
        assert sorted(owned) == list(range(partitions))


@given(
    leads=st.booleans(), members=st.lists(st.booleans(), max_size=4), generations=st.integers(1, 3)
)
def test_a_worker_of_a_version_with_fewer_tables_gets_no_topic_that_it_does_not_know(
    leads: bool, members: list[bool], generations: int
) -> None:
    has_more = [leads, *members]
    tables = ("counts", "reports")
    workers = {
        str(number): worker(*tables, "quality") if more else worker(*tables)
        for number, more in enumerate(has_more)
    }
    for _ in range(generations):
        rebalance(workers, CHANGELOG_PARTITIONS)
        owned: list[int] = []
        for each in workers.values():
            assigned = each.assigned_actives() | each.assigned_standbys()
            assert {tp.topic for tp in assigned} <= {INPUT, *changelogs(each)}
            own = {tp.partition for tp in each.assigned_actives() if tp.topic == INPUT}
            owned += own
            for topic in changelogs(workers["0"]) & changelogs(each):
                followed = {tp.partition for tp in each.assigned_standbys() if tp.topic == topic}
                assert followed == set(range(CHANGELOG_PARTITIONS)) - own
        assert sorted(owned) == list(range(CHANGELOG_PARTITIONS))
