"""Isolates poison rows: decisions that a sink will never take, among others that it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import DecisionRejected, DecisionSink
from models.records import Decision

OnRejected = Callable[[str, Decision, DecisionRejected], Awaitable[None]]
"""Takes the name of a sink, a poison row, and the reason why the sink will never take it."""


async def save_isolating(
    sink: DecisionSink,
    decisions: Sequence[Decision],
    on_rejected: OnRejected,
    batch: Batch | None = None,
) -> None:
    """Save decisions, and isolate poison rows: `on_rejected` gets each, the rest is saved.

    A batch that the sink rejects is halved until the poison rows are alone. `batch` holds the same
    decisions, if there is one already. Raises `SinkUnavailable`; the same call may then be made
    again.
    """
    try:
        await sink.save(batch or Batch(decisions))
    except DecisionRejected as exc:
        if len(decisions) == 1:
            await on_rejected(sink.name, decisions[0], exc)
            return
        half = len(decisions) // 2
        await save_isolating(sink, decisions[:half], on_rejected)
        await save_isolating(sink, decisions[half:], on_rejected)
