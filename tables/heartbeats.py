"""What the owner of each partition tells the other workers about it, about once a second.

Counts are exact with every batch and are in `decision_counts`. What is here may be a second late;
its `activity` is a function of the decision log, so that no crash can falsify it.
"""

from __future__ import annotations

from faust import App
from msgspec import Struct

from fraudapp.settings import Settings
from models.activity import Activity
from models.counts import Count
from tables.global_table import ByPartition


class SinkStatus(Struct, frozen=True):
    """How one sink does at one worker."""

    behind: Count
    """Decisions of the worker's partitions that it does not have yet."""
    down: bool


class Heartbeat(Struct, frozen=True):
    """A partition, and the worker that owns it, at one moment."""

    worker: str
    """Name of the worker: HOST:PORT of its web server, and its process id."""
    at: float
    """Seconds since 1970."""
    cursor: Count
    """Offset in the decision log up to which `activity` tells."""
    high_water: Count | None
    """Offset after the last message of the input partition; None if not known yet."""
    latency: dict[str, float]
    """Seconds from a message's timestamp to its decision at that worker, in the last minute: `p50`,
    `p95`, `p99`; empty if there was none."""
    stores: dict[str, SinkStatus]
    model_version: str
    policy_version: str
    activity: Activity
    stored: Count = 0
    """Offset in the decision log up to which Postgres has it, as far as its owner knows."""
    unread: Count = 0
    """Records of the decision log that its owner has to read before it decides here. While there
    are some, what is told of the partition itself is from the owner before it."""
    unread_seconds: float | None = None
    """How long that will take; None if not known yet."""


def new_table(app: App, settings: Settings) -> ByPartition[Heartbeat]:
    """Return the table; it is the app's from then on. Its name is that of its changelog topic."""
    return ByPartition(
        app,
        settings,
        "partition-reports",
        value=Heartbeat,
        help="Recent activity of each partition, and how its owner does.",
    )
