"""The decisions of a period on which two models have scores, read once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, cast

import numpy as np

from fraudapp.backtests import from_log, from_postgres
from fraudapp.backtests.period import Period
from fraudapp.backtests.seen import Seen
from fraudapp.comparing import labels
from fraudapp.settings import Settings
from models.comparing.pairs import Gathering
from models.comparing.sampling import Sample, halvings
from models.records import Decision
from models.schema.schema import Schema

Source = Literal["log", "postgres"]
MAX_ROWS: Final = 5_000_000
"""Decisions, which take 400 MB: see `models.comparing.pairs.BYTES`."""
_READERS: Final[Mapping[Source, Callable[[Settings, Period], AsyncIterator[list[Decision]]]]] = {
    "log": from_log.decisions,
    "postgres": from_postgres.decisions,
}


class Chosen(NamedTuple):
    """Which decisions are compared, by which labels."""

    period: Period
    age: timedelta
    """How old a decision has to be for its labels to have come."""
    now: datetime
    source: Source = "log"
    max_rows: int = MAX_ROWS
    """Decisions that are looked at, at most; of more, an even sample by the hash of the id."""


class Gathered:
    """Takes in the decisions that were read; of several under an id, the first one counts."""

    def __init__(
        self, schema: Schema, versions: tuple[str, str], chosen: Chosen, told: Mapping[str, int]
    ) -> None:
        """`told` has labels by id."""
        self.read = 0
        """Decisions, in the sample or not."""
        self.sample = Sample(chosen.max_rows)
        self.gathering = Gathering(*versions, schema, mature_until=chosen.now - chosen.age)
        self._period, self._told, self._seen = chosen.period, told, Seen()

    def add(self, decisions: Sequence[Decision]) -> None:
        """Take decisions in."""
        self.read += len(decisions)
        outlived = halvings([each.transaction_id for each in decisions])
        sampled = np.flatnonzero(outlived >= (before := self.sample.halved))
        ids = [decisions[at].transaction_id for at in sampled.tolist()]
        new = sampled[self._seen.add(ids)]
        since, until = self._period
        rows = [at for at in new.tolist() if since <= decisions[at].decided_at < until]
        self.gathering.add([decisions[at] for at in rows], self._told, outlived[rows].tolist())
        self.sample.add(outlived[new])
        if self.sample.halved > before:
            self.gathering.halve(self.sample.halved)


async def gather(settings: Settings, versions: tuple[str, str], chosen: Chosen) -> Gathered:
    """Read the labels, then the decisions; raises `KafkaError` or `SinkUnavailable`."""
    told = await labels.told(settings, chosen.source)
    found = Gathered(settings.transaction_schema, versions, chosen, told)
    batches = _READERS[chosen.source](settings, chosen.period)
    async with aclosing(cast("AsyncGenerator[list[Decision], None]", batches)) as closed:
        async for batch in closed:
            found.add(batch)
    return found
