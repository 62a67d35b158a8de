"""A backtest as text."""

from __future__ import annotations

from collections.abc import Iterator

from models.characters import legible
from models.policies.backtest import OUTCOMES, Backtest
from models.policies.intervals import Share


def as_text(found: Backtest) -> str:
    """Return the backtest for people."""
    return "\n".join(_lines(found))


def _lines(found: Backtest) -> Iterator[str]:
    share = found.changed / found.rows if found.rows else 0.0
    what = "decisions" if found.made_by else "transactions"
    yield f"{found.rows:,} {what}, {found.changed:,} of them decided otherwise ({share:.3%})"
    yield from _of_decisions(found)
    yield ""
    yield f"{'before':10}" + "".join(f"{'now ' + each:>14}" for each in OUTCOMES)
    for before in OUTCOMES:
        row = found.counts[before]
        yield f"{before:10}" + "".join(f"{int(row[each]):14,}" for each in OUTCOMES)
    yield ""
    yield f"{'amounts':10}" + "".join(f"{'now ' + each:>22}" for each in OUTCOMES)
    for before in OUTCOMES:
        row = found.amounts[before]
        yield f"{before:10}" + "".join(f"{row[each]:22,.2f}" for each in OUTCOMES)
    if found.rules:
        yield from _of_rules(found)
    if found.pairs:
        yield ""
        yield "rules that hit together most often"
        for pair in found.pairs:
            yield f"{pair.hits:10,}  {' and '.join(pair.rules)}"
    yield ""
    yield from _of_labels(found)
    if found.notes:
        yield ""
        yield from map(legible, found.notes)


def _of_decisions(found: Backtest) -> Iterator[str]:
    if found.first and found.last:
        period = f"from {found.first.isoformat()} to {found.last.isoformat()}"
        yield f"made {period}; tried: {legible(found.policy)}"
    for maker, count in found.made_by.items():
        by = f"policy {maker}" if maker.isdecimal() else legible(maker)
        yield f"{count:10,} by {by}"
    if found.of_other_schemas:
        yield f"{found.of_other_schemas:10,} of other schemas are left out"
    if found.repeated:
        yield f"{found.repeated:10,} under an id that was decided before are left out"


def _of_rules(found: Backtest) -> Iterator[str]:
    width = max(len(each.id) for each in found.rules) + 1
    yield ""
    numbers = "".join(f"{each:>10}" for each in ("hits", "only it", "frauds"))
    yield f"{'rule':{width}}{'then':>9}{'mode':>8}{numbers}{'amount':>20}"
    for each in found.rules:
        yield (
            f"{each.id:{width}}{each.then:>9}{each.mode:>8}{each.hits:10,}{each.only:10,}"
            f"{each.frauds:10,}{each.amount:20,.2f}"
        )
        if each.failures:
            yield f"  could not be computed for {each.failures:,} transactions: no hits there"


def _of_labels(found: Backtest) -> Iterator[str]:
    if not found.stopped_frauds:
        yield "Nothing is labelled as fraud, so precision and recall are unknown."
        return
    yield f"{found.frauds:,} are labelled as fraud; of what is blocked, and of them:"
    for when in ("before", "after"):
        yield (
            f"  {when:7} precision {_share(found.precision(when))}, "
            f"recall {_share(found.recall(when))}"
        )


def _share(share: Share | None) -> str:
    return "unknown" if share is None else f"{share.value:.3f} ({share.low:.3f}-{share.high:.3f})"
