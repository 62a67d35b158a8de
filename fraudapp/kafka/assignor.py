"""Assigns changelog partitions as standbys, so that each worker hears of all that others write."""

from __future__ import annotations

from collections.abc import Mapping

from faust.assignor import PartitionAssignor
from faust.assignor.partition_assignor import ClientAssignmentMapping


class OwnersAssignor(PartitionAssignor):
    """Faust's assignor, for global tables that the owner of an input partition writes to.

    Faust assigns to a worker, as standbys, the changelog partitions that are not its actives. It
    assigns topics with different numbers of partitions independently of each other. Once the input
    has more partitions, one worker may own a changelog partition, and another worker the input
    partition of the same number. The first would then never hear of what the second writes. So here
    a worker gets as standbys its active changelog partitions whose input partition others own.
    """

    def _global_table_standby_assignments(
        self, assignments: ClientAssignmentMapping, partitions_by_topic: Mapping[str, int]
    ) -> ClientAssignmentMapping:
        assignments = super()._global_table_standby_assignments(assignments, partitions_by_topic)
        changelogs = self._table_manager.changelog_topics
        for assignment in assignments.values():
            inputs = assignment.actives.keys() - changelogs
            owned = {partition for topic in inputs for partition in assignment.actives[topic]}
            for topic in changelogs:
                assignment.standbys[topic] = sorted(set(assignment.actives[topic]) - owned)
        return assignments
