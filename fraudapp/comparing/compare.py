"""Two models on the decisions of a period, and the labels that have come since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fraudapp.backtests.known_models import KnownModels
from fraudapp.comparing.gathering import Chosen, Gathered, gather
from fraudapp.settings import Settings
from models.artifact import ModelFileError
from models.comparing.comparison import Compared, compared
from models.comparing.pairs import BYTES, UNKNOWN, Gathering
from models.comparing.quality import LEAST_FRAUDS
from models.errors import NeedsOperator
from models.watch.expected import expected_by


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
    gathered = await gather(settings, versions, chosen)
    pairs = gathered.gathering.pairs()
    if not len(pairs.scores):
        raise NothingInCommon(
            f"no decision{chosen.period} has scores of both {versions[0]} and {versions[1]}: a "
            "policy has to name one of them in its `shadow` while the other one decides, or both"
        )
    trained = {each: found for each in versions if (found := _histogram(models, each))}
    unknown = int((pairs.labels == UNKNOWN).sum())
    notes = [*_sampled(gathered, chosen)]
    notes += _notes(gathered.gathering, chosen, unknown, int((pairs.labels == 1).sum()))
    notes += [
        f"no card says what scores {each} had in its training, so its own change is not known"
        for each in versions
        if each not in trained
    ]
    return compared(pairs, versions, thresholds, trained, notes, gathered.sample.share)


def _histogram(models: KnownModels, version: str) -> list[float] | None:
    try:
        card = models.card(version)
    except ModelFileError:  # it is neither in the topic nor here
        return None
    expected = expected_by(card.training, card.features)
    return expected.scores if expected else None


def _sampled(gathered: Gathered, chosen: Chosen) -> Iterator[str]:
    if (share := gathered.sample.share) < 1.0:
        yield (
            f"there are more than {chosen.max_rows:,} decisions, so of the {gathered.read:,} that "
            f"were read an even sample is compared: one in {1 / share:,.0f}, by the hash of its "
            "id, and all counts and amounts are of it; a later --since has fewer, and --max-rows "
            f"{gathered.read} takes all of them, in about {gathered.read * BYTES / 1e9:,.1f} GB"
        )


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
