"""The explanation of a decision as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from models.characters import legible
from models.explanation import ByPolicy, Explanation, Hit
from models.schema.reasons import Weighed


def as_text(told: Explanation) -> str:
    """Return an explanation for people: from the base, by what is for and against, to the sum."""
    return "\n".join(_lines(told))


def _lines(told: Explanation) -> Iterator[str]:
    model, policy = legible(told.model_version), legible(told.policy.version)
    yield (
        f"{legible(told.transaction_id)}: {told.decision.value}, score {_score(told.score)}, "
        f"by model {model} and policy {policy}"
    )
    yield ""
    yield from _table(told)
    yield ""
    if not (again := told.recomputed).is_same:
        yield f"Computed again, the score is {_score(again.score)}. {again.note}"
    yield from _of_policy(told.policy)


def _table(told: Explanation) -> Iterator[str]:
    rows: list[tuple[str, str]] = [("", "log-odds")]
    probability = f"a probability of {told.base.probability:.2g}"
    rows.append((f"Before anything is known, {probability}", _signed(told.base.log_odds)))
    for title, parts in (("Raises the risk", told.raising), ("Lowers the risk", told.lowering)):
        if parts:
            rows.append((title, ""))
        for each in parts:
            rows.append((f"  {legible(each.text)}", _signed(each.contribution)))
            rows.append((f"    {_values(each)}", ""))
    rows.append((f"Together, a score of {_score(told.score)}", _signed(told.log_odds)))
    width = max(len(text) for text, number in rows if number)
    for text, number in rows:
        if text.strip() or number:
            yield f"{text:{width}}  {number:>8}".rstrip()


def _values(part: Weighed) -> str:
    said = (f"{legible(name)} {_value(value)}" for name, value in part.values.items())
    return " · ".join(said)


def _value(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,.10g}"
    return legible(str(value))


def _score(score: float) -> str:
    return f"{score:.4f}" if score >= 0.001 else f"{score:.2g}"


def _signed(number: float) -> str:
    return f"{number:+.2f}"


def _of_policy(policy: ByPolicy) -> Iterator[str]:
    if policy.flag_at is None:
        yield f"Policy {legible(policy.version)} is not known here any more."
    else:
        yield f"Flagged from {policy.flag_at} on, blocked from {policy.block_at} on."
    if policy.flagged_upstream:
        yield "The sender's own rule has flagged it, which blocks whatever the score."
    if policy.explored:
        share = f"{100 * policy.explored:.6g} %"
        yield f"One of the {share} of the model's blocks that are let through."
    for reason in policy.reasons:
        yield f"{legible(reason.code)}: {legible(reason.text)}"
    yield from _of_rules(policy.hits)


def _of_rules(hits: Sequence[Hit]) -> Iterator[str]:
    for each in hits:
        mode = "" if each.mode in (None, "active") else f", in {each.mode}"
        yield f"Rule {legible(each.rule)} hit{f': {each.then}{mode}' if each.then else ''}."
