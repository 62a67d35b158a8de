"""Runs a backtest over the decisions of a period, wherever they are kept."""

from __future__ import annotations

import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Final, Literal, cast

from fraudapp.backtests import from_archive, from_log, from_postgres
from fraudapp.backtests.candidate import Candidate, of_chain
from fraudapp.backtests.history import timeline
from fraudapp.backtests.known_models import KnownModels
from fraudapp.backtests.notes import notes
from fraudapp.backtests.period import Period
from fraudapp.backtests.replay import Chosen, Replay
from fraudapp.backtests.stored_features import StoredFeatures
from fraudapp.settings import Settings
from models.policies.backtest import Backtest
from models.policies.ruling import Lists
from models.records import Decision

Source = Literal["log", "postgres", "archive"]
BATCH: Final = 4_000
"""Decisions that are ruled at once, at least."""
_THRESHOLDS: Final = (50_000, 20, 100)
"""Of `gc.set_threshold`; the first is of objects that were made and not freed."""
_READERS: Final[Mapping[Source, Callable[[Settings, Period], AsyncIterator[list[Decision]]]]] = {
    "log": from_log.decisions,
    "postgres": from_postgres.decisions,
    "archive": from_archive.decisions,
}


async def run(
    settings: Settings, policy: str | Candidate, source: Source, chosen: Chosen, lists: Lists
) -> Backtest:
    """Return what a policy would have changed; `policy` may be named as in `of_chain`.

    `lists` are taken instead of those of the control log. Raises `PolicyError`, `ModelFileError`,
    `KafkaError` or `SinkUnavailable`.
    """
    known, models = None, KnownModels(settings, {})
    if isinstance(policy, str) or not lists.keys() >= set(policy.ruling.lists):
        known = await timeline(settings)
        models = KnownModels(settings, known.models)
        if isinstance(policy, str):
            policy = of_chain(policy, known.chain, settings, models)
    schema = settings.transaction_schema
    features = StoredFeatures(schema, policy.ruling, models)
    replay = Replay(policy, schema, features, known, lists, chosen)
    with _rare_collections():
        await _fill(replay, _READERS[source](settings, chosen.period))
    found = replay.result()
    found.notes = [*notes(replay, found)]
    return found


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector look seldom: decisions are in no cycles, and it takes a third."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _fill(replay: Replay, batches: AsyncIterator[list[Decision]]) -> None:
    waiting: list[Decision] = []
    async with aclosing(cast("AsyncGenerator[list[Decision], None]", batches)) as closed:
        async for batch in closed:
            waiting += batch
            if len(waiting) >= BATCH:
                replay.add(waiting)
                waiting = []
            if replay.is_full:
                return
    replay.add(waiting)
