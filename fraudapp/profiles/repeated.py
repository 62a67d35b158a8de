"""Tells decisions that repeat an earlier one in the log, where there is no index to ask.

A worker that was frozen may append, when it wakes up, decisions that another worker has made
meanwhile. Of several under one id the first counts, and the profiles have it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Final

import numpy as np

from models.records import Decision

REMEMBERED: Final = 1 << 17
"""Ids of a partition that are remembered: those of minutes at any rate of one partition."""
_NEVER: Final = datetime.min.replace(tzinfo=timezone.utc)


class Repeated:
    """The last ids of one partition of the log.

    Inputs are decided in their order, so a decision on an input after all others is the first one.
    Only others are looked for among the ids, which costs more.
    """

    def __init__(self) -> None:
        self._hashes = np.zeros(REMEMBERED, np.int64)
        self._at = 0
        self._inputs: dict[tuple[str, int], int] = {}
        self._latest = _NEVER

    def add(self, keys: Sequence[bytes]) -> None:
        """Remember ids without telling."""
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))[-REMEMBERED:]
        places = (self._at + np.arange(len(hashes))) % REMEMBERED
        self._hashes[places] = hashes
        self._at = (self._at + len(hashes)) % REMEMBERED

    def new(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Return the decisions that repeat no earlier one, and remember all of them."""
        found, here = [], set[str]()
        for each in decisions:
            if not self._follows(each) and (each.transaction_id in here or self._has(each)):
                continue
            source = each.topic, each.partition
            self._inputs[source] = max(self._inputs.get(source, -1), each.offset)
            self._latest = max(self._latest, each.decided_at)
            here.add(each.transaction_id)
            found.append(each)
        self.add([each.transaction_id.encode() for each in decisions])
        return found

    def _follows(self, decision: Decision) -> bool:
        """Whether it is on an input after all others that are known."""
        before = self._inputs.get((decision.topic, decision.partition))
        if before is None:  # just after a start, repeated ones come first as well
            return False
        return decision.offset > before and decision.decided_at >= self._latest

    def _has(self, decision: Decision) -> bool:
        return bool((self._hashes == hash(decision.transaction_id.encode())).any())
