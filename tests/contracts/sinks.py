"""What every sink promises, and what those promise that keep one row for each decision.

A module of tests provides the fixture `case`: an open sink in which nothing is yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import DecisionSink, SinkUnavailable
from models.records import Decision
from tests.support.decisions import decision

BATCH = Batch([decision(f"t{number}", offset=number) for number in range(100)])
KEPT = {each.transaction_id: each for each in BATCH.decisions}


@dataclass
class Case:
    """A sink, how to see what is in it, and how to take its server away."""

    sink: DecisionSink
    read: Callable[[], Awaitable[dict[str, Decision]]]

    def down(self) -> None:
        raise NotImplementedError

    def back(self) -> None:
        raise NotImplementedError


class SinkContract:
    """Tests of any sink."""

    async def test_what_is_saved_is_there_as_it_was(self, case: Case) -> None:
        await case.sink.save(BATCH)
        assert await case.read() == KEPT

    async def test_saving_twice_changes_nothing(self, case: Case) -> None:
        await case.sink.save(BATCH)
        await case.sink.save(BATCH)
        assert await case.read() == KEPT

    async def test_saving_nothing_is_harmless(self, case: Case) -> None:
        await case.sink.save(Batch([]))
        assert await case.read() == {}

    async def test_a_purge_deletes_the_days_before_and_nothing_else(self, case: Case) -> None:
        day = datetime(2026, 3, 4, tzinfo=timezone.utc)
        moments = [
            day - timedelta(microseconds=1),
            day,
            day + timedelta(days=40),
            day - timedelta(40),
        ]
        batch = Batch(
            [
                decision(f"t{number}", offset=number, decided_at=moments[number % 4])
                for number in range(100)
            ]
        )
        await case.sink.save(batch)
        files = case.sink.name == "archive"
        expected = 2 if files else 50
        assert await case.sink.purge(day.date(), dry_run=True) == expected
        assert len(await case.read()) == 100
        assert await case.sink.purge(day.date()) == expected
        kept = {each.transaction_id: each for each in batch.decisions if each.decided_at >= day}
        assert await case.read() == kept
        assert await case.sink.purge(day.date()) == 0
        await case.sink.save(batch)  # the sink goes on, also about days that are gone
        assert len(await case.read()) == 100

    async def test_the_sink_says_that_it_is_down_and_keeps_all_once_it_is_back(
        self, case: Case
    ) -> None:
        first, rest = Batch(BATCH.decisions[:50]), Batch(BATCH.decisions[50:])
        await case.sink.save(first)
        case.down()
        with pytest.raises(SinkUnavailable, match=case.sink.name):
            await case.sink.ping()
        with pytest.raises(SinkUnavailable, match=case.sink.name):
            await case.sink.save(rest)
        case.back()
        await case.sink.ping()
        await case.sink.save(rest)
        if case.sink.name == "redis":  # its test server keeps nothing over a restart
            await case.sink.save(first)
        assert await case.read() == KEPT


class RowsContract:
    """A test of a sink that keeps one row for each decision."""

    async def test_the_first_decision_under_an_id_stays(self, case: Case) -> None:
        await case.sink.save(Batch([decision("t1", score=0.25)]))
        await case.sink.save(Batch([decision("t1", score=0.75), decision("t2")]))
        kept = await case.read()
        assert kept["t1"].score == 0.25
        assert "t2" in kept
