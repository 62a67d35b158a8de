"""Faust tables: state in RocksDB, backed by changelog topics."""

from __future__ import annotations

from dataclasses import dataclass

from faust import App

from fraudapp.settings import Settings
from models.counts import Counts
from models.watch.cells import Days
from tables import decision_counts, heartbeats, quality, watch
from tables.global_table import ByPartition

__part_of__ = "fraudapp"


@dataclass(frozen=True)
class Tables:
    """The tables of a worker; each has one value for each partition of the transactions topic."""

    counts: ByPartition[Counts]
    heartbeats: ByPartition[heartbeats.Heartbeat]
    quality: ByPartition[quality.PartitionCells]
    watch: ByPartition[Days]


def register(app: App, settings: Settings) -> Tables:
    """Add the tables to an app; called once, before the app starts."""
    return Tables(
        decision_counts.new_table(app, settings),
        heartbeats.new_table(app, settings),
        quality.new_table(app, settings),
        watch.new_table(app, settings),
    )
