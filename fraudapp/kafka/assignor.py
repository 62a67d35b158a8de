"""Which changelogs of tables each worker follows: those of the partitions that others own."""

from __future__ import annotations

from collections.abc import Mapping

from faust.assignor import PartitionAssignor
from faust.assignor.partition_assignor import ClientAssignmentMapping


class OwnersAssignor(PartitionAssignor):
    """Faust's, for tables whose partitions are written by who owns that of the input.

    Faust has a worker follow what is not assigned to it of the changelog. Topics with unlike
    numbers of partitions are assigned apart: once the input has more, a worker may have one
    partition of the changelog, and another worker the same of the input. What was written by that
    one would never be heard of by this one.
    """

    def _global_table_standby_assignments(
        self, assignments: ClientAssignmentMapping, partitions_by_topic: Mapping[str, int]
    ) -> ClientAssignmentMapping:
        assignments = super()._global_table_standby_assignments(assignments, partitions_by_topic)
        changelogs = self._table_manager.changelog_topics
        for assignment in assignments.values():
            inputs = assignment.actives.keys() - changelogs
            own = {number for topic in inputs for number in assignment.actives[topic]}
            for topic in changelogs:
                assignment.standbys[topic] = sorted(set(assignment.actives[topic]) - own)
        return assignments
