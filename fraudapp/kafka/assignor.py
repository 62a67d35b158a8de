"""Assigns changelog partitions as standbys, so that each worker hears of all that others write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.assignor import PartitionAssignor
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from faust.assignor.partition_assignor import (
    ClientAssignmentMapping,
    MemberAssignmentMapping,
    MemberMetadataMapping,
)


class OwnersAssignor(PartitionAssignor):
    """Faust's assignor, for global tables that the owner of an input partition writes to.

    Faust assigns to a worker, as standbys, the changelog partitions that are not its actives. It
    assigns topics with different numbers of partitions independently of each other. Once the input
    has more partitions, one worker may own a changelog partition, and another worker the input
    partition of the same number. The first would then never hear of what the second writes. So here
    a worker gets as standbys its active changelog partitions whose input partition others own.

    While versions are replaced, workers have different tables. Faust supposes that all have those
    of the leader, and a worker that gets a topic which it does not know is out of the group. So a
    worker is given changelogs that it has subscribed to, and knows itself which of them to follow.
    """

    _subscribed: Mapping[str, Collection[str]]
    """The topics of each member."""

    def _perform_assignment(
        self, cluster: ClusterMetadata, member_metadata: MemberMetadataMapping
    ) -> MemberAssignmentMapping:
        self._subscribed = {
            member: set(cast("Collection[str]", metadata.subscription))
            for member, metadata in member_metadata.items()
        }
        return super()._perform_assignment(cluster, member_metadata)

    def _global_table_standby_assignments(
        self, assignments: ClientAssignmentMapping, partitions_by_topic: Mapping[str, int]
    ) -> ClientAssignmentMapping:
        assignments = super()._global_table_standby_assignments(assignments, partitions_by_topic)
        changelogs = self._table_manager.changelog_topics
        for member, assignment in assignments.items():
            for topic in changelogs - set(self._subscribed[member]):
                assignment.actives.pop(topic, None)
                assignment.standbys.pop(topic, None)
            self._follow_others(assignment)
        return assignments

    def _follow_others(self, assignment: ClientAssignment) -> None:
        """Make standbys of the active changelog partitions whose input partition others own."""
        changelogs = self._table_manager.changelog_topics
        inputs = assignment.actives.keys() - changelogs
        owned = {partition for topic in inputs for partition in assignment.actives[topic]}
        for topic in changelogs & assignment.actives.keys():
            assignment.standbys[topic] = sorted(set(assignment.actives[topic]) - owned)

    def on_assignment(self, assignment: ConsumerProtocolMemberMetadata) -> None:
        """Take over an assignment, by a leader that may not know all tables of this worker.

        Such a leader leaves the standbys of these tables out of what it tells Kafka.
        """
        given = cast("ConsumerProtocolMemberAssignment", assignment)
        metadata = cast("ClientMetadata", ClientMetadata.loads(self._decompress(given.user_data)))
        told, own = dict(given.assignment), metadata.assignment
        for topic in self._table_manager.changelog_topics & own.standbys.keys():
            if sorted(told.get(topic, [])) == sorted(own.actives.get(topic, [])):
                del own.standbys[topic]
        known = type(given)(given.version, given.assignment, self._compress(metadata.dumps()))
        super().on_assignment(cast("ConsumerProtocolMemberMetadata", known))
        self._follow_others(self._assignment)
        self._standby_tps.clear()
        self._standby_tps.update(self._assignment.standby_tps)
