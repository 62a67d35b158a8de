"""A model in shadow that fails is told of once a minute at most."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agents.shadow_log import INTERVAL, ShadowLog
from models.challenger import Challenger
from tests.support.decisions import DECIDED_AT as NOW
from tests.support.scoring import Named


def test_failures_are_told_once_a_minute_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = Challenger(Named("m1")), Challenger(Named("m2"))
    log = ShadowLog()
    log.look([one, other], NOW)
    assert not caplog.messages
    one.failures, one.problem = 3, "ValueError: no"
    log.look([one, other], NOW)
    assert len(caplog.messages) == 1
    assert "model m1 in shadow had no score for 3 transactions" in caplog.messages[0]
    assert "ValueError: no" in caplog.messages[0]
    one.failures, other.failures = 5, 1
    log.look([one, other], NOW + timedelta(seconds=1))
    assert ["m1" in each for each in caplog.messages] == [True, False]
    log.look([one, other], NOW + INTERVAL)
    assert "for 2 transactions" in caplog.messages[2]
    log.look([one, other], NOW + 3 * INTERVAL)
    assert len(caplog.messages) == 3
