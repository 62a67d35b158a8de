"""Activity is a function of the decisions, whatever the batches and the order of their times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from fraudapp.decisions.batch import encode
from models.activity import MAX_BLOCKED, OUTCOMES, SCORE_BINS, Activity, mask, recent
from models.records import Decision, Outcome
from models.schema import presets
from models.schema.schema import preset
from tests.support.decisions import decision
from tests.support.transactions import transaction

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: st.SearchStrategy[int]) -> st.SearchStrategy[list[Decision]]:
    """Make a log of decisions, each with its seconds after the start."""
    rows = st.tuples(st.sampled_from(Outcome), st.floats(0, 1), seconds)
    return st.lists(rows, min_size=1, max_size=60).map(
        lambda each: [
            decision(
                f"t{number}",
                decision=outcome,
                score=score,
                decided_at=START + timedelta(seconds=after),
            )
            for number, (outcome, score, after) in enumerate(each)
        ]
    )


FIRST, LAST = (
    int((moment.replace(tzinfo=timezone.utc) - START).total_seconds())
    for moment in (datetime.min, datetime.max)
)
logs = at(st.integers(0, 20_000))
wild = at(st.integers(FIRST, LAST - 1))
"""Times as wrong clocks make them, or clocks that are set forward and back."""


def whole(log: list[Decision]) -> Activity:
    activity = Activity()
    activity.add(log)
    return activity


@given(log=logs | wild, data=st.data())
def test_portions_make_no_difference(log: list[Decision], data: st.DataObject) -> None:
    activity, position = Activity(), 0
    totals = [0, 0, 0]
    while position < len(log):
        end = data.draw(st.integers(position + 1, len(log)))
        added = activity.add(log[position:end])
        totals = [a + b for a, b in zip(totals, added, strict=True)]
        position = end
    assert activity == whole(log)
    assert msgpack.encode(activity) == msgpack.encode(whole(log))  # in the same order, too
    assert totals == [sum(each.decision is outcome for each in log) for outcome in OUTCOMES]
    assert activity.add([]) == [0, 0, 0]


@given(log=logs | wild)
def test_every_decision_is_where_it_belongs(log: list[Decision]) -> None:
    activity = whole(log)
    for buckets in (activity.seconds, activity.minutes):
        numbers = [int(each.decided_at.timestamp()) // buckets.width for each in log]
        latest = list(dict.fromkeys(reversed(numbers)))[: buckets.kept]
        assert list(buckets.counts) == latest[::-1]  # ordered by their last count
        assert sum(map(sum, buckets.counts.values())) == sum(each in latest for each in numbers)
    assert sum(activity.scores) == len(log)
    assert activity.first_decided_at == log[0].decided_at.timestamp()
    blocked = [each.transaction_id for each in log if each.decision is Outcome.BLOCK]
    assert [each.transaction_id for each in activity.blocked] == blocked[-MAX_BLOCKED:]


@given(before=wild, log=at(st.integers(0, 600)), others=wild)
def test_whatever_was_stamped_before_what_is_decided_now_is_shown(
    before: list[Decision], log: list[Decision], others: list[Decision]
) -> None:
    now = START.timestamp() + 600
    activity = whole([*before, *log])
    seen = recent([activity, whole(others)], now)
    alone = recent([whole(log)], now)
    for all_rows, rows in ((seen.seconds, alone.seconds), (seen.minutes, alone.minutes)):
        shown = {begin: counts for begin, *counts in all_rows}
        assert max(shown) <= now
        for begin, *counts in rows:
            assert all(a >= b for a, b in zip(shown[begin], counts, strict=True))
    assert all(seen.hour[outcome] >= count for outcome, count in alone.hour.items())
    assert all(each.decided_at <= now for each in seen.blocked)
    assert seen.since is None or seen.since <= now
    assert len(activity.seconds.counts) <= activity.seconds.kept
    assert len(activity.minutes.counts) <= activity.minutes.kept
    assert len(activity.blocked) <= MAX_BLOCKED


def test_a_clock_that_was_a_year_ahead_leaves_the_page_as_it_was() -> None:
    def made(id_: str, moment: datetime) -> Decision:
        return decision(id_, decided_at=moment)

    log = [made(f"a{number}", START + timedelta(seconds=number)) for number in range(100)]
    ahead = made("ahead", START + timedelta(days=365))
    now = (START + timedelta(seconds=100)).timestamp()
    assert recent([whole([*log, ahead])], now).hour == {"APPROVE": 0, "FLAG": 0, "BLOCK": 100}
    seen = recent([whole([ahead, *log[:50]]), whole(log[50:])], now)
    assert seen.hour["BLOCK"] == 100
    assert seen.blocked[0].transaction_id == "a99"
    assert seen.since == log[50].decided_at.timestamp()


@given(one=logs, other=logs)
def test_partitions_add_up(one: list[Decision], other: list[Decision]) -> None:
    now = max(each.decided_at.timestamp() for each in [*one, *other])
    seen = recent([whole(one), whole(other)], now)
    assert seen.since == min(log[0].decided_at.timestamp() for log in (one, other))
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


def test_a_blocked_transaction_has_what_its_schema_gives_roles_to() -> None:
    schema = preset("cards")
    card = schema.parser.parse(presets.examples("cards")[0])
    before = schema.decode(encode(decision("t1")))  # of PaySim
    activity = Activity()
    activity.add([before, decision("c1", transaction=card)], schema)
    other, found = activity.blocked
    assert (found.type, found.amount, found.currency) == (card.category, card.amount, "EUR")
    assert (found.origin, found.destination) == (mask(card.customer_id), mask(card.terminal_id))
    assert (other.type, other.origin, other.currency) == (None, None, None)
    assert other.amount == before.transaction.amount
