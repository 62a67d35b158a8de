"""A task ends even if it passes over a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from fraudapp.labels import ending


async def test_a_task_that_passes_over_it_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.01)
    passed_over = 0

    async def stubborn() -> None:
        nonlocal passed_over
        while passed_over < 2:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            passed_over += 1

    async def fails() -> None:
        raise ValueError("it fails")

    tasks = [asyncio.ensure_future(each()) for each in (stubborn, fails)]
    await asyncio.sleep(0)
    await asyncio.wait_for(ending.end(tasks), 60.0)
    assert passed_over == 2
    assert isinstance(tasks[1].exception(), ValueError)
    await ending.end([])
