"""The keepers of labels of one worker, made from its settings: all of them are named here."""

from __future__ import annotations

from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.labels.archive import ArchivedLabels
from fraudapp.sinks.labels.keeper import LabelKeeper
from fraudapp.sinks.labels.postgres import PostgresLabels
from fraudapp.sinks.progress import Progress


def label_keepers(settings: Settings, progress: Progress) -> list[LabelKeeper]:
    """Return a keeper for Postgres and one for the archive, not yet started.

    Redis has none: every worker knows all labels itself.
    """
    stores = PostgresLabels(settings), ArchivedLabels(archive_at(settings))
    return [LabelKeeper(settings, store, progress) for store in stores]
