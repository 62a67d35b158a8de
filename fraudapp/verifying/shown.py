"""What verifying has found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from models.characters import legible
from models.profiles.differences import Difference, Verified


def as_json(found: Verified) -> str:
    """Return it for programs."""
    fields = msgspec.to_builtins(found)
    counts = {"equal": found.equal, "unexplained": found.unexplained}
    return msgspec.json.format(msgspec.json.encode({**counts, **fields}).decode(), indent=2)


def as_text(found: Verified) -> str:
    """Return it for people."""
    return "\n".join(_lines(found))


def _lines(found: Verified) -> Iterator[str]:
    yield f"{found.compared:,} decisions compared with profiles {legible(found.profile_version)}"
    if found.first and found.last:
        yield f"made from {found.first.isoformat()} to {found.last.isoformat()}"
    yield ""
    yield f"{found.equal:12,}  equal"
    yield f"{found.differing:12,}  differing"
    yield f"{found.explained:12,}    explained: the worker may have known more or less by then"
    yield f"{found.unexplained:12,}    unexplained"
    yield from _of_others(found)
    if found.values:
        yield ""
        width = max(map(len, found.values))
        yield f"{'value':{width}}  {'differing':>12}  {'known once':>12}  largest difference"
        for name, each in found.values.items():
            yield f"{name:{width}}  {each.differing:12,}  {each.unknown:12,}  {each.largest:.12g}"
    for heading, explained in (("unexplained", False), ("explained", True)):
        if some := [each for each in found.examples if each.explained is explained]:
            yield ""
            yield f"the first that are {heading}"
            for difference in some:
                yield from _of_difference(difference)


def _of_others(found: Verified) -> Iterator[str]:
    counts = {
        "made with other profiles or none; they count in these": found.of_other_profiles,
        "before the period; they count, too": found.earlier,
        "left out: their ids were decided before": found.repeated,
        "labels have changed what is known": found.labels,
    }
    if any(counts.values()):
        yield ""
        yield from (f"{count:12,}  {what}" for what, count in counts.items() if count)


def _of_difference(difference: Difference) -> Iterator[str]:
    lag = f", profiles {difference.profile_lag:g} s behind" if difference.profile_lag else ""
    id_, at = legible(difference.transaction_id), difference.decided_at.isoformat()
    yield f"  {id_}  made {at}, partition {difference.partition}{lag}"
    for name, pair in difference.values.items():
        yield f"      {name}: stored {_number(pair.stored)}, computed {_number(pair.computed)}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.12g}"
