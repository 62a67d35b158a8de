"""Two models on the decisions of a period, and the labels that have come since."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, cast

from fraudapp.backtests import from_log, from_postgres
from fraudapp.backtests.known_models import KnownModels
from fraudapp.backtests.period import Period
from fraudapp.backtests.seen import Seen
from fraudapp.comparing import labels
from fraudapp.settings import Settings
from models.artifact import ModelFileError
from models.comparing.comparison import Compared, compared
from models.comparing.pairs import UNKNOWN, Gathering
from models.comparing.quality import LEAST_FRAUDS
from models.errors import NeedsOperator
from models.records import Decision
from models.watch.expected import expected_by

Source = Literal["log", "postgres"]
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


class NothingInCommon(NeedsOperator):
    """There is no decision on which both models have a score."""


async def compare(
    settings: Settings,
    versions: tuple[str, str],
    chosen: Chosen,
    thresholds: Mapping[str, float],
    models: KnownModels,
) -> Compared:
    """Compare two versions on the decisions of a period.

    Labels are read first. Raises `NothingInCommon`, `KafkaError` or `SinkUnavailable`.
    """
    told = await labels.told(settings, chosen.source)
    gathering = Gathering(
        *versions, schema=settings.transaction_schema, mature_until=chosen.now - chosen.age
    )
    seen, (since, until) = Seen(), chosen.period
    batches = _READERS[chosen.source](settings, chosen.period)
    async with aclosing(cast("AsyncGenerator[list[Decision], None]", batches)) as closed:
        async for batch in closed:
            is_new = seen.add([each.transaction_id for each in batch]).tolist()
            rows = [
                each
                for each, new in zip(batch, is_new, strict=True)
                if new and since <= each.decided_at < until
            ]
            gathering.add(rows, told)
    pairs = gathering.pairs()
    if not len(pairs.scores):
        raise NothingInCommon(
            f"no decision{chosen.period} has scores of both {versions[0]} and {versions[1]}: a "
            "policy has to name one of them in its `shadow` while the other one decides, or both"
        )
    trained = {each: found for each in versions if (found := _histogram(models, each))}
    unknown = int((pairs.labels == UNKNOWN).sum())
    notes = [*_notes(gathering, chosen, unknown, int((pairs.labels == 1).sum()))]
    notes += [
        f"no card says what scores {each} had in its training, so its own change is not known"
        for each in versions
        if each not in trained
    ]
    return compared(pairs, versions, thresholds, trained, notes)


def _histogram(models: KnownModels, version: str) -> list[float] | None:
    try:
        card = models.card(version)
    except ModelFileError:  # it is neither in the topic nor here
        return None
    expected = expected_by(card.training, card.features)
    return expected.scores if expected else None


def _notes(gathering: Gathering, chosen: Chosen, unknown: int, frauds: int) -> Iterator[str]:
    if gathering.lacking:
        yield f"{gathering.lacking:,} decisions have a score of only one of them: left out"
    if gathering.of_other_schemas:
        yield f"{gathering.of_other_schemas:,} decisions are of other schemas: left out"
    if unknown:
        yield (
            f"of {unknown:,} it is not known what they were: they are younger than {chosen.age}, "
            "were blocked without a label, or the control group stands for them"
        )
    blocks = gathering.blocked
    if blocks.unlabelled:
        yield (
            f"{blocks.unlabelled:,} of {blocks.all:,} mature blocks of the model that decided have "
            "no label and no control group that stands for them: recall of that model is told too "
            "low, and worse recall of the other one cannot be seen there (`explore` in a policy)"
        )
    if frauds < LEAST_FRAUDS:
        yield f"{frauds:,} frauds are known, too few to say how good either is"
