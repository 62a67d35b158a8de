"""Activity is a function of the decisions, in whatever portions and order of time they come."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from models.activity import LATEST, OUTCOMES, SCORE_BINS, Activity, mask, recent
from models.records import Decision, Outcome
from tests.unit.decisions import decision
from tests.unit.transactions import transaction

START = datetime(2026, 1, 1, tzinfo=timezone.utc)

logs = st.lists(
    st.tuples(st.sampled_from(Outcome), st.floats(0, 1), st.integers(0, 20_000)),
    min_size=1,
    max_size=60,
).map(
    lambda rows: [
        decision(
            f"t{number}", decision=outcome, score=score, decided_at=START + timedelta(seconds=at)
        )
        for number, (outcome, score, at) in enumerate(rows)
    ]
)


def whole(log: list[Decision]) -> Activity:
    activity = Activity()
    activity.add(log)
    return activity


@given(log=logs, data=st.data())
def test_portions_make_no_difference(log: list[Decision], data: st.DataObject) -> None:
    activity, position = Activity(), 0
    totals = [0, 0, 0]
    while position < len(log):
        end = data.draw(st.integers(position + 1, len(log)))
        added = activity.add(log[position:end])
        totals = [a + b for a, b in zip(totals, added, strict=True)]
        position = end
    assert activity == whole(log)
    assert totals == [sum(each.decision is outcome for each in log) for outcome in OUTCOMES]
    assert activity.add([]) == [0, 0, 0]


@given(log=logs)
def test_every_decision_is_where_it_belongs(log: list[Decision]) -> None:
    activity = whole(log)
    last = max(each.decided_at.timestamp() for each in log)
    for buckets in (activity.seconds, activity.minutes):
        width, first = buckets.width, int(last) // buckets.width - buckets.kept + 1
        numbers = [int(each.decided_at.timestamp()) // width for each in log]
        kept = [each for each, number in zip(log, numbers, strict=True) if number >= first]
        assert sum(map(sum, buckets.counts.values())) == len(kept)
        assert len(buckets.counts) <= buckets.kept
    assert sum(activity.scores) == len(log)
    blocked = [each.transaction_id for each in log if each.decision is Outcome.BLOCK]
    assert [each.transaction_id for each in activity.blocked] == blocked[-LATEST:]


@given(one=logs, other=logs)
def test_partitions_add_up(one: list[Decision], other: list[Decision]) -> None:
    now = max(each.decided_at.timestamp() for each in [*one, *other])
    seen = recent([whole(one), whole(other)], now)
    assert seen.since == min(each.decided_at.timestamp() for each in [*one, *other])
    assert sum(seen.scores) == len(one) + len(other)
    # Whole minutes: the first one shown may have begun up to a minute before.
    in_hour = [
        each for each in [*one, *other] if each.decided_at.timestamp() // 60 * 60 > now - 3_600
    ]
    assert sum(seen.hour.values()) == len(in_hour)
    assert [row[0] for row in seen.minutes] == sorted({row[0] for row in seen.minutes})
    times = [each.decided_at for each in seen.blocked]
    assert times == sorted(times, reverse=True)
    assert recent([], now).scores == [0] * SCORE_BINS


def test_what_is_past_is_not_shown_though_nothing_came_after_it() -> None:
    activity = whole([decision("t1", decided_at=START)])
    assert recent([activity], START.timestamp() + 3_599).hour["BLOCK"] == 1
    later = recent([activity], START.timestamp() + 3_600)
    assert (later.hour["BLOCK"], later.seconds) == (0, [])
    assert recent([activity], START.timestamp() + 7_200).minutes == []


def test_accounts_are_masked() -> None:
    each = decision(transaction=transaction("t1", nameOrig="C1231006815", nameDest="M1"))
    (blocked,) = whole([each]).blocked
    assert (blocked.origin, blocked.destination) == ("C•••15", "•••")
    assert mask("") == "•••"
