"""Values of profiles equal a recount of all transactions, whatever came in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.profiles.memory import ProfileMemory, five_minutes
from models.profiles.packing import packed, unpacked
from models.profiles.remembering import Remembering
from models.profiles.values import parse
from models.profiles.windows import DAY, HOUR
from tests.support.recounting import Past, recounted

VALUES = {
    name: parse(text)
    for name, text in {
        "s_5m": "count(sender, 5m)",
        "s_1h": "sum(sender, 1h)",
        "s_24h": "mean(sender, 24h)",
        "s_30d": "count(sender, 30d)",
        "s_last": "seconds_since_last(sender)",
        "s_first": "days_since_first(sender)",
        "s_other": "distinct(sender, receiver, 24h)",
        "r_hours": "count(receiver, 6h, 2h)",
        "r_delayed": "fraud_rate(receiver, 7d, 3d)",
        "r_frauds": "frauds(receiver, 14d)",
        "r_sum": "sum(receiver, 7d)",
        "r_last": "seconds_since_last(receiver)",
    }.items()
}
START = 1_764_460_800  # a midnight

seconds = st.one_of(
    st.integers(0, 2 * HOUR), st.integers(0, 3 * DAY), st.integers(0, 50 * DAY)
).map(START.__add__)
names = st.sampled_from(["a", "b", None])
pasts = st.builds(
    Past, seconds, names, names, st.sampled_from([0, 1, 250, 99_999]), st.sampled_from([0, 0, 1])
)


def remembering() -> Remembering:
    return Remembering(VALUES, "amount", 0.01)


class Row:
    """A transaction as remembering sees it."""

    def __init__(self, past: Past) -> None:
        self.sender, self.receiver = past.sender, past.receiver
        self.amount = past.cents / 100


class Bench:
    """A memory over a store in a dict, of which only `max_bytes` are kept."""

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self.remembering = remembering()
        self.stored: dict[bytes, bytes] = {}
        self.memory = ProfileMemory(
            self.remembering, lambda keys: [self.stored.get(key) for key in keys], max_bytes
        )

    def events(self, pasts: Sequence[Past]):  # type: ignore[no-untyped-def]
        return self.remembering.events([*map(Row, pasts)], [each.second for each in pasts])

    def apply(self, pasts: Sequence[Past]) -> None:
        self.memory.apply(self.events(pasts))
        self.memory.add_frauds(self.events(pasts), [each.fraud for each in pasts])

    def write(self) -> None:
        self.stored |= self.memory.changed
        self.memory.changed.clear()

    def read(self, now: Past, *, release: bool = True) -> dict[str, float]:
        events = self.events([now])
        (row,) = self.memory.read(events).tolist()
        if release:
            self.memory.release(events)
        return self.remembering.known(row)

    def states(self) -> dict[bytes, bytes]:
        """All profiles, each in the form in which equal ones are equal."""
        found = {}
        for key, content in (self.stored | self.memory.changed).items():
            profile = unpacked(content, self.remembering.sides[key[0] - 1].layout)
            profile.merge()
            found[key] = packed(profile)
        return found


def expected(past: Sequence[Past], now: Past) -> dict[str, float]:
    kept = {side.field: side.layout.levels.kept for side in remembering().sides}
    found = {name: recounted(each, kept[each.key], past, now) for name, each in VALUES.items()}
    return {name: each for name, each in found.items() if each is not None}


def check(found: dict[str, float], past: Sequence[Past], now: Past) -> None:
    wanted = expected(past, now)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert math.isclose(found[name], value, rel_tol=1e-12), (name, found[name], value)


@settings(max_examples=300)
@given(past=st.lists(pasts, max_size=60), now=pasts, written=st.booleans(), data=st.data())
def test_values_are_a_recount_of_what_came_before(
    past: list[Past], now: Past, written: bool, data: st.DataObject
) -> None:
    past.sort(key=lambda each: each.second)
    now = now._replace(second=max(now.second, past[-1].second if past else 0))
    bench, rest = Bench(), past
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        bench.apply(rest[:size])
        rest = rest[size:]
        if written:
            bench.write()
    check(bench.read(now), past, now)


@settings(max_examples=200)
@given(past=st.lists(pasts, max_size=40), order=st.randoms(use_true_random=False))
def test_the_order_of_transactions_and_labels_changes_nothing(past: list[Past], order) -> None:  # type: ignore[no-untyped-def]
    one, other = Bench(), Bench(max_bytes=2_000)
    one.apply(past)
    parts = [("apply", each) for each in past] + [("label", each) for each in past]
    order.shuffle(parts)
    for what, each in parts:
        if what == "apply":
            other.memory.apply(other.events([each]))
        else:
            other.memory.add_frauds(other.events([each]), [each.fraud])
        if order.random() < 0.3:
            other.write()
    assert one.states() == other.states()


@given(batch=st.lists(pasts, min_size=1, max_size=30), past=st.lists(pasts, max_size=20))
def test_transactions_in_flight_are_seen_by_those_after_them(
    batch: list[Past], past: list[Past]
) -> None:
    now = START + 50 * DAY + 7
    batch = [each._replace(second=now + place // 10, fraud=0) for place, each in enumerate(batch)]
    bench = Bench()
    bench.apply(past)
    rows = []
    events = bench.events(batch)
    for run in five_minutes(events):
        rows += bench.memory.read(run).tolist()
    for place, (row, each) in enumerate(zip(rows, batch, strict=True)):
        check(bench.remembering.known(row), [*past, *batch[:place]], each)
    bench.memory.settle(events)
    settled = Bench()
    settled.apply([*past, *batch])
    assert bench.states() == settled.states()
    after = batch[-1]._replace(second=now + 60)
    check(bench.read(after), [*past, *batch], after)


@given(batch=st.lists(pasts, min_size=1, max_size=20), kept=st.sets(st.integers(0, 19)))
def test_what_leaves_flight_without_getting_into_the_log_is_forgotten(
    batch: list[Past], kept: set[int]
) -> None:
    now = START + 50 * DAY + 7
    batch = [each._replace(second=now, fraud=0) for each in batch]
    bench, places = Bench(), [at for at in range(len(batch)) if at in kept]
    events = bench.events(batch)
    bench.memory.read(events)
    bench.memory.settle(events.chosen(places))
    others = [at for at in range(len(batch)) if at not in kept]
    bench.memory.release(events.chosen(others))
    after = batch[-1]._replace(second=now + 60)
    check(bench.read(after), [batch[at] for at in places], after)


def test_memory_is_bounded_by_its_bytes() -> None:
    bench = Bench(max_bytes=50_000)
    for number in range(2_000):
        bench.memory.apply(bench.events([Past(START, f"c{number}", f"m{number}", 100)]))
        bench.write()
    assert bench.memory._bytes <= 50_000 + 1_000
    check(
        bench.read(Past(START + 60, "c0", "m0", 5)),
        [Past(START, "c0", "m0", 100)],
        Past(START + 60, "c0", "m0", 5),
    )


def test_an_account_that_was_busy_for_long_stays_small() -> None:
    bench = Bench()
    for hour in range(24 * 120):
        bench.memory.apply(bench.events([Past(START + hour * HOUR, "a", "b", 100)]))
    assert max(map(len, bench.memory.changed.values())) < 10_000


def test_what_is_no_profile_is_refused() -> None:
    bench = Bench()
    (key,) = [key for key in bench.events([Past(START, "a", None, 1)]).sides[0].keys if key]
    bench.stored[key] = b"abc"
    with pytest.raises(ValueError, match="size"):
        bench.read(Past(START, "a", None, 1))
