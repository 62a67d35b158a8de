"""A worker tells webhooks if there is a receiver, and tells why it cannot read what to tell."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fraudapp import worker as workers
from fraudapp.webhooks.service import Webhooks, webhooks_of
from fraudapp.worker import FraudWorker
from tests.support.views import PATIENCE, settings_of
from tests.unit.fraudapp.test_worker_start import StandIns, stand_ins, worker
from tests.unit.fraudapp.webhooks.receiving import SECRET

__all__ = ["stand_ins", "worker"]


async def test_webhooks_start_last_and_stop_before_the_connections_close(
    monkeypatch: pytest.MonkeyPatch, worker: FraudWorker, stand_ins: StandIns
) -> None:
    made = stand_ins.service("webhooks", troubles=lambda: ["trouble of webhooks"])
    monkeypatch.setattr(workers, "webhooks_of", lambda _: made)
    await asyncio.wait_for(worker.start(), PATIENCE)
    events = stand_ins.events
    assert events.index("start webhooks") > events.index("start control")
    await asyncio.wait_for(worker.stop(), PATIENCE)
    assert events.index("stop webhooks") < events.index("stop producer")


async def test_reads_that_fail_are_troubles_and_a_receiver_that_is_down_is_none(
    tmp_path: Path,
) -> None:
    given = {"FRAUD_WEBHOOK_URL": "http://h/token", "FRAUD_WEBHOOK_SECRET": SECRET}
    webhooks = webhooks_of(settings_of(tmp_path, **given))
    assert isinstance(webhooks, Webhooks)
    assert webhooks.troubles() == []
    reads = webhooks._reading
    reads._began -= 60
    reads.failed(OSError("no broker"))
    (trouble,) = webhooks.troubles()
    assert trouble.startswith("reading what to tell h:80: OSError: no broker")
    await webhooks.stop()
