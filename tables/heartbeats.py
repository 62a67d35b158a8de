"""The table of heartbeats, by which a partition's owner informs the other workers each second.

Heartbeats may be a second late; the counts of `decision_counts` are exact after every batch. The
`activity` is a function of the decision log, so that no crash can falsify it.
"""

from __future__ import annotations

from collections.abc import Iterable

from faust import App
from msgspec import UNSET, Struct, UnsetType

from fraudapp.settings import Settings
from models.activity import Activity
from models.control.versions import Version
from models.counts import Count
from models.policies.shares import Counts
from tables.global_table import ByPartition


class SinkStatus(Struct, frozen=True):
    """The state of one sink at one worker."""

    behind: Count
    """Lag: decisions on the worker's partitions that the sink does not have yet."""
    down: bool


class Heartbeat(Struct, frozen=True):
    """A partition, and the worker that owns it, at one moment."""

    worker: str
    """Name of the worker: HOST:PORT of its web server."""
    at: float
    """Seconds since 1970."""
    cursor: Count
    """Next offset in the decision log: `activity` covers the decisions before it."""
    high_water: Count | None
    """Offset after the last record of the input partition; None if not known yet."""
    latency: dict[str, float]
    """Seconds from the timestamp of an input to its decision at this worker, over the last minute:
    `p50`, `p95`, `p99`; empty if there were no decisions."""
    stores: dict[str, SinkStatus]
    model_version: str
    policy_version: str
    activity: Activity
    stored: Count = 0
    """Next offset of the Postgres sink in the decision log, as far as the owner knows."""
    unread: Count = 0
    """Records of the decision log that the owner has to read before it decides here. While it is
    above zero, the values about the partition itself come from the previous owner."""
    unread_seconds: float | None = None
    """Estimated time for reading them, in seconds; None if not known yet."""
    for_caps: Counts | UnsetType = UNSET
    """What the worker has decided in the window of the policy's caps; left out without caps."""


def for_caps(heartbeats: Iterable[Heartbeat], policy_version: str, *, but: str) -> list[Counts]:
    """Return the last counts of each worker but one that has the same policy in force.

    For as long as nobody else owns its partitions, a worker that is gone has its last counts.
    """
    policy, newest = _number(policy_version), dict[str, Heartbeat]()
    for each in heartbeats:
        if each.worker != but and (each.worker not in newest or newest[each.worker].at < each.at):
            newest[each.worker] = each
    return [
        each.for_caps
        for each in newest.values()
        if each.for_caps is not UNSET and _number(each.policy_version) == policy
    ]


def _number(version: str) -> int:
    found = Version.of(version)
    return found.number if found else 0


def new_table(app: App, settings: Settings) -> ByPartition[Heartbeat]:
    """Add the table to the app and return it; the name of its changelog topic contains its name."""
    return ByPartition(
        app,
        settings,
        "partition-reports",
        value=Heartbeat,
        help="Recent activity of each partition, and the state of its owner.",
    )
