"""A model of what was decided: the decision log, and the labels that have come since."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fraudapp.backtests import from_log
from fraudapp.backtests.period import Period
from fraudapp.backtests.seen import Seen
from fraudapp.settings import Settings
from fraudapp.training.labels import told
from models.artifact import Kind
from models.errors import TrainingDataError
from models.records import Decision
from models.training.from_decisions import LEGITIMATE, FromDecisions

if TYPE_CHECKING:  # scikit-learn is slow to import
    from models.training.train import TrainedModel


class Mature(NamedTuple):
    """Which decisions of the log are trained on."""

    period: Period
    age: timedelta
    """How old a decision has to be."""
    now: datetime


async def gathered(settings: Settings, chosen: Mature) -> FromDecisions:
    """Read labels and decisions; raises `KafkaError`.

    Labels are read first: one that comes meanwhile is of the next training.
    """
    labels = await told(settings)
    found = FromDecisions(settings.transaction_schema, chosen.now, chosen.age)
    seen, (since, until) = Seen(), chosen.period
    batches = cast(
        "AsyncGenerator[list[Decision], None]", from_log.decisions(settings, chosen.period)
    )
    async with aclosing(batches) as closed:
        async for batch in closed:
            is_new = seen.add([each.transaction_id for each in batch]).tolist()
            inside = [since <= each.decided_at < until for each in batch]
            rows = [at for at, each in enumerate(inside) if each]
            found.add([batch[at] for at in rows], labels, [is_new[at] for at in rows])
    found.finish()
    return found


def trained_on(
    found: FromDecisions,
    settings: Settings,
    chosen: Mature,
    *,
    kind: Kind,
    progress: Callable[[str], None],
    warn: Callable[[str], None],
    **options: Any,
) -> TrainedModel:
    """Train on what was gathered; raises `TrainingDataError`.

    `options` are those of `models.training.train.train_on`.
    """
    from models.training.train import train_on

    if not found.rows:
        raise TrainingDataError(
            f"no decision of {settings.decisions_topic}{chosen.period} can be trained on: "
            + ("; ".join(skipped(found)) or "there is none")
        )
    origin = {
        "data": settings.decisions_topic,
        "mature_seconds": int(chosen.age.total_seconds()),
        "until": chosen.now.isoformat(),
        "period": str(chosen.period).strip(),
        "labels": dict(found.counts),
        "skipped": dict(found.skipped),
        "explored": found.explored,
    }
    return train_on(
        found.labelled(),
        kind,
        origin=origin,
        schema=settings.transaction_schema,
        is_warm=True,
        progress=progress,
        warn=warn,
        **options,
    )


def sentences(found: FromDecisions) -> Iterator[str]:
    """Yield what was gathered, a line each."""
    frauds = sum(found.frauds.values())
    yield f"{found.rows:,} decisions to train on, {frauds:,} of them fraud"
    for source, count in found.counts.most_common():
        told = "" if source == LEGITIMATE else f", {found.frauds[source]:,} of them fraud"
        yield f"  {count:,}: {_by(source)}{told}"
    if found.explored:
        yield f"  {found.explored:,} of them are of the control group, and weigh as its share says"
    yield from (f"left out: {each}" for each in skipped(found))


def skipped(found: FromDecisions) -> Iterator[str]:
    """Yield why decisions were left out, and how many."""
    yield from (f"{count:,} {why}" for why, count in found.skipped.most_common())


def _by(source: str) -> str:
    return source if source == LEGITIMATE else f"label by {source}"
