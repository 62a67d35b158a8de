"""A value may be what any set of uncertain decisions makes of it, and is bound by all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain, combinations, product
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.profiles.memory import ProfileMemory
from models.profiles.neighbours import Part, Uncertain, parts_of
from models.profiles.possible import Move, Possible, Range
from models.profiles.totals import Totals
from models.schema.reading import read
from models.schema.schema import Schema
from tests.support.recounting import Past
from tests.support.remembered import SCHEMA, expected, payment

MORE = """
days = "days_since_first(sender)"
mature = "count(sender, 1h, 1h)"
spent_before = "sum(sender, 24h, 24h)"
spoiled = "frauds(sender, 24h)"
spoiled_share = "fraud_rate(sender, 24h)"

[features]"""
NOON = 1_777_636_800
NOW = NOON + 40 * 86_400
AGO = [0, 1, 200, 400, 3_000, 5_000, 9_000, 80_000, 200_000, 31 * 86_400]

pasts = st.lists(
    st.builds(
        Past,
        st.sampled_from([NOW - each for each in AGO]),
        st.just("a"),
        st.sampled_from(["x", "y", "z", None]),
        st.integers(0, 9_000),
        st.sampled_from([0, 0, 1]),
    ),
    max_size=5,
).map(lambda all_: sorted(all_, key=lambda each: each.second))
recent = st.lists(
    st.builds(
        Past,
        st.integers(NOW - 60, NOW),
        st.just("a"),
        st.sampled_from(["x", "y", "z", None]),
        st.integers(0, 9_000),
        st.just(0),
    ),
    max_size=3,
)


@cache
def schema() -> Schema:
    return Schema(read(SCHEMA.replace("\n[features]", MORE).encode(), "shop"))


@cache
def totals() -> Totals:
    assert schema().remembering
    return Totals(schema().remembering)  # type: ignore[arg-type]


def events(past: Sequence[Past]) -> Any:
    fields = [payment("t", each.sender or "", each.receiver, each.cents / 100) for each in past]
    rows = [msgspec.convert(each, schema().transaction) for each in fields]
    return totals().events(rows, [each.second for each in past])


def parts(past: Sequence[Past]) -> list[Part]:
    return [each for each, _ in parts_of(events(past)) if each]


def computed(past: Sequence[Past]) -> dict[str, float]:
    memory = ProfileMemory(totals(), lambda keys: [None] * len(keys))
    if past:
        memory.apply(events(past))
        memory.add_frauds(events(past), [each.fraud for each in past])
    return totals().known(memory.read(events([Past(NOW, "a", None, 0)])).tolist()[0])


def possible(
    past: Sequence[Past],
    lacking: Sequence[Past] = (),
    more: Sequence[Past] = (),
    moves: Sequence[Move] = (),
    *,
    lacks_all: bool = False,
) -> Possible:
    last = max((each.second for each in past), default=0)
    uncertain = Uncertain(NOW, last, parts(lacking), parts(more), lacks_all)
    return Possible(totals().sides[0], 0.01, computed([*past, *lacking]), uncertain, moves)


def subsets(all_: Sequence[Past]) -> list[tuple[Past, ...]]:
    return [*chain.from_iterable(combinations(all_, size) for size in range(len(all_) + 1))]


def of_sender() -> list[str]:
    assert schema().remembering
    return [*schema().remembering.sides[0].values]  # type: ignore[union-attr]


@settings(max_examples=60)
@given(past=pasts, lacking=recent, more=recent, unseen=st.booleans())
@example(past=[], lacking=[], more=[], unseen=True)
def test_whatever_a_worker_may_have_known_is_possible(
    past: list[Past], lacking: list[Past], more: list[Past], unseen: bool
) -> None:
    may = possible(past, lacking, more, lacks_all=unseen)
    for base in subsets(past) if unseen else [past]:
        for some, others in product(subsets(lacking), subsets(more)):
            found = expected(schema(), [*base, *some, *others], Past(NOW, "a", None, 0))
            for name in of_sender():
                range_ = may.of(name)
                assert range_.has(found.get(name)), (name, found.get(name), range_)


@given(past=pasts)
def test_without_uncertain_decisions_only_what_the_log_says_is_possible(past: list[Past]) -> None:
    may, wanted = possible(past), expected(schema(), past, Past(NOW, "a", None, 0))
    for name in of_sender():
        right = wanted.get(name)
        assert may.of(name).has(right)
        assert may.of(name).has(None) == (right is None)
        assert not may.of(name).has((right or 0.0) + 0.5)
        assert not may.of(name).has((right or 0.0) + 1.0)
        assert not may.of(name).has((right or 0.0) - 1.0)


@settings(max_examples=60)
@given(past=pasts, lacking=recent, more=recent)
def test_more_than_uncertain_decisions_can_account_for_is_not_possible(
    past: list[Past], lacking: list[Past], more: list[Past]
) -> None:
    may = possible(past, lacking, more)
    ways = [
        expected(schema(), [*past, *some, *others], Past(NOW, "a", None, 0))
        for some, others in product(subsets(lacking), subsets(more))
    ]
    for name in ("sent", "spent", "usual", "mature", "spent_before", "spoiled", "spoiled_share"):
        found = [each[name] for each in ways if name in each]
        assert not may.of(name).has(min(found, default=0.0) - 0.01), name
        assert not may.of(name).has(max(found, default=0.0) + 0.01), name
    full = computed([*past, *lacking])
    names = {each.receiver for each in (*lacking, *more)} - {None}
    assert may.of("places").high <= full["places"] + len(names) + 1
    if past and past[-1].second > NOW - 30 * 86_400:
        assert not may.of("waited").has(NOW - past[-1].second + 1.0)
        assert not may.of("waited").has(None)


def test_labels_move_frauds_only_if_they_may_not_have_been_known() -> None:
    past = [Past(NOW - 100, "a", "x", 500, 1), Past(NOW - 90, "a", "x", 500, 1)]
    late = [Move(NOW - 3.0, NOW - 100, 1)]
    assert possible(past).of("spoiled") == Range(2, 2)
    assert possible(past, moves=late).of("spoiled") == Range(1, 2)
    assert possible(past, moves=late).of("spoiled_share").has(0.5)
    assert not possible(past, moves=late).of("spoiled_share").has(0.4)
    assert possible(past, moves=[Move(NOW - 3.0, NOW - 90_000, 1)]).of("spoiled") == Range(2, 2)


def test_a_rate_moves_with_the_transactions_that_it_is_a_share_of() -> None:
    past, lacking = [Past(NOW - 100, "a", "x", 500, 1)], [Past(NOW - 1, "a", "x", 500)]
    rate = possible(past, lacking).of("spoiled_share")
    assert (rate.low, rate.high, rate.may_be_unknown) == (0.5, 1.0, False)


def test_a_worker_that_lacks_all_reads_no_more_than_all() -> None:
    past = [Past(NOW - 100, "a", "x", 500), Past(NOW - 90, "a", "y", 700)]
    may = possible(past, lacks_all=True)
    for name, none, above in [("sent", 0.0, 3.0), ("spent", 0.0, 12.01), ("places", 0.0, 3.0)]:
        assert may.of(name).has(none)
        assert not may.of(name).has(above)
    assert may.of("usual").has(None)
    assert may.of("waited").has(None)
    assert not may.of("waited").has(89.0)
