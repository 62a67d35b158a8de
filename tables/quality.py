"""The table of cells of decisions, from which every worker tells how good decisions were.

Each partition's owner writes those of its decision index, every few seconds if they have changed.
They are a function of the decision log, so that no crash can falsify them.
"""

from __future__ import annotations

from faust import App
from msgspec import Struct

from fraudapp.settings import Settings
from models.counts import Count
from models.quality.cells import DecisionCells
from tables.global_table import ByPartition


class PartitionCells(Struct, frozen=True):
    """The cells of one partition."""

    cursor: Count
    """Next offset in the decision log: the cells are of the decisions before it."""
    cells: DecisionCells


def new_table(app: App, settings: Settings) -> ByPartition[PartitionCells]:
    """Add the table to the app and return it."""
    return ByPartition(
        app,
        settings,
        "quality",
        value=PartitionCells,
        help="Decisions by week, model, policy, outcome and rule, by partition.",
    )
