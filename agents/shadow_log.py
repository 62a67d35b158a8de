"""Tells in the log that a model in shadow had no scores; the decisions were made without them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from models.challenger import Challenger

log = logging.getLogger(__name__)

INTERVAL: Final = timedelta(minutes=1)
"""Between two messages on one model, at least."""


class ShadowLog:
    """Looks at the counts of challengers after each batch."""

    def __init__(self) -> None:
        self._told: defaultdict[str, int] = defaultdict(int)
        """Failures that the log has told of, by model."""
        self._at: dict[str, datetime] = {}

    def look(self, challengers: Sequence[Challenger], now: datetime) -> None:
        """Write a message if one of them has failed since, and none was written for a minute."""
        for each in challengers:
            version, failed = each.version, each.failures
            if failed == self._told[version]:
                continue
            last = self._at.get(version)
            if last is None or now - last >= INTERVAL:
                count = failed - self._told[version]
                log.warning(
                    "model %s in shadow had no score for %d transactions, which the other one has "
                    "decided all the same: %s",
                    version,
                    count,
                    each.problem,
                )
                self._told[version], self._at[version] = failed, now
