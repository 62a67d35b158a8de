"""What profiles cost the decision path, for one worker that decides all there is."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.store import ProfileStore
from models.records import Transaction
from models.schema.schema import Schema
from tests.benchmarks.timing import BATCH_ROWS

_TOPICS = [LogIdentity("benchmark", topic, -1) for topic in ("decisions", "labelled")]
_BEGIN = 1_750_000_000
_LAST = b"a decision"


def microseconds_of(schema: Schema, transactions: Sequence[Transaction]) -> float:
    """Microseconds an event to read profiles, to settle decisions, and to write to disk.

    The first half of the transactions makes profiles, and the second half is measured.
    """
    if schema.remembering is None:
        return 0.0
    half = len(transactions) // 2
    with TemporaryDirectory() as folder:
        store = ProfileStore(Path(folder), schema.profile_version, _TOPICS)
        profiles = Folded(schema.remembering, store, label_delay=0.0)
        _pass(profiles, transactions[:half])
        gc.collect()
        gc.freeze()
        spent = _pass(profiles, transactions[half:])
        gc.unfreeze()
        profiles.close()
    return spent / (len(transactions) - half) * 1e6


def _pass(profiles: Folded, transactions: Sequence[Transaction]) -> float:
    spent = 0.0
    for begin in range(0, len(transactions), BATCH_ROWS):
        batch = transactions[begin : begin + BATCH_ROWS]
        start = profiles.decisions.get(0, 0)
        began = time.perf_counter()
        _, events = profiles.read(batch, _BEGIN + start // BATCH_ROWS)
        profiles.settle(0, start, events, _LAST)
        if profiles.is_large:
            profiles.write()
        spent += time.perf_counter() - began
    return spent
