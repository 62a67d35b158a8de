"""The table of the watch: what models have seen and scored, by day.

Each worker writes what it has counted itself into the value of one of its partitions, every few
seconds; so the values of all partitions have to be added up. They are statistics: see
`models.watch.cells`.
"""

from __future__ import annotations

from faust import App

from fraudapp.settings import Settings
from models.watch.cells import Days
from tables.global_table import ByPartition


def new_table(app: App, settings: Settings) -> ByPartition[Days]:
    """Add the table to the app and return it."""
    return ByPartition(
        app,
        settings,
        "watch",
        value=Days,
        help="Counts of features, scores and outcomes by day and model, by partition.",
    )
