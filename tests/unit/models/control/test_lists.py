"""Lists are at any moment what a replay of the log makes of them, and forget nothing to do so."""

from __future__ import annotations

import tracemalloc
from datetime import datetime, timedelta, timezone
from itertools import product
from typing import Literal, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.control import lists as module
from models.control.lists import Lists

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59)))
LAST = datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59)))


class Step(NamedTuple):
    """A change of an entry, or a look at all of them at a moment."""

    what: Literal["add", "remove", "look"]
    name: str
    value: str
    moment: datetime | None


# Close to each other, and with the first and the last of all, whose floats are coarse.
moments = st.one_of(
    st.integers(-3, 3).map(lambda hours: NOON + hours * HOUR),
    st.integers(-3, 3).map(lambda each: NOON + timedelta(microseconds=each)),
    st.integers(0, 3).map(lambda each: FIRST + timedelta(microseconds=each)),
    st.integers(0, 3).map(lambda each: LAST - timedelta(microseconds=each)),
)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
dates = moments | st.datetimes(timezones=zones)
names, entries = st.sampled_from(["mules", "friends"]), st.sampled_from(["a", "b", "c"])
steps = st.one_of(
    st.builds(Step, st.just("add"), names, entries, st.none() | dates),
    st.builds(Step, st.just("remove"), names, entries, st.none()),
    st.builds(Step, st.just("look"), names, entries, dates),
)


class Naive:
    """Remembers everything, and computes all anew."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], datetime | None] = {}
        self.last: dict[str, int] = {}
        self.refused = 0

    def change(self, step: Step, offset: int, most: int) -> None:
        key = step.name, step.value
        if step.what == "remove":
            self.said.pop(key, None)
        elif len(self.said) >= most and key not in self.said:
            self.refused += 1
            return
        else:
            self.said[key] = step.moment
        self.last[step.name] = offset + 1

    def at(self, now: datetime) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for (name, value), expires_at in self.said.items():
            if expires_at is None or expires_at > now:
                found.setdefault(name, set()).add(value)
        return found


def some(found: Lists, now: datetime) -> dict[str, set[str]]:
    """The lists that have entries at a moment."""
    return {name: set(entries) for name, entries in found.at(now).items() if entries}


@given(st.lists(steps, max_size=60), st.integers(0, 6))
@example([Step("add", "mules", "a", LAST), Step("add", "mules", "b", FIRST)], 6)
def test_lists_are_at_every_moment_what_a_replay_makes_of_them(
    given: list[Step], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_ENTRIES", most)
        patch.setattr(module, "_SPARE", 0)  # so that notes of times are made anew
        lists, naive = Lists(), Naive()
        now = NOON
        for offset, step in enumerate(given):
            if step.what == "look":
                assert step.moment is not None
                now = step.moment
            else:
                naive.change(step, offset, most)
                if step.what == "add":
                    lists.add(step.name, step.value, step.moment, offset)
                else:
                    lists.remove(step.name, step.value, offset)
            expected = naive.at(now)
            assert some(lists, now) == expected
            for moment in (FIRST, NOON, LAST, now):
                there = naive.at(moment)
                for name, value in product(("mules", "friends"), "abc"):
                    held = lists.holds(name, value, moment)
                    assert held == (value in there.get(name, ()))
            assert some(lists, now) == expected
            assert {name: size for name, size in lists.sizes().items() if size} == {
                name: len(each) for name, each in expected.items()
            }
            assert (len(lists), lists.refused) == (len(naive.said), naive.refused)
            for names in ([], ["mules"], ["friends"], ["mules", "friends", "none"]):
                assert lists.next_offset(names) == max(
                    (naive.last.get(each, 0) for each in names), default=0
                )
    for now in (FIRST, NOON, LAST, NOON - HOUR, FIRST, NOON + HOUR):
        assert some(lists, now) == naive.at(now)


def test_an_entry_is_there_up_to_the_moment_at_which_it_expires() -> None:
    lists = Lists()
    lists.add("mules", "a", NOON, 0)
    just = timedelta(microseconds=1)
    for _ in range(3):  # forwards and backwards
        assert lists.at(NOON - just)["mules"] == {"a"}
        assert lists.at(NOON)["mules"] == set()


def test_beyond_the_limit_only_new_entries_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    lists = Lists()
    for offset, value in enumerate("abc"):
        lists.add("mules", value, None, offset)
    lists.add("friends", "x", None, 3)
    lists.add("mules", "a", NOON, 4)
    assert (len(lists), lists.refused) == (2, 2)
    assert some(lists, NOON - HOUR) == {"mules": {"a", "b"}}
    lists.remove("mules", "b", 5)
    lists.add("friends", "x", None, 6)
    assert some(lists, NOON) == {"friends": {"x"}}  # what has expired still counts
    assert len(lists) == 2
    assert lists.next_offset(["friends"]) == 7


def test_strangers_names_of_lists_take_no_sets() -> None:
    lists = Lists()
    for offset in range(100):
        lists.remove(f"list{offset}", "a", offset)
    assert lists.sizes() == {}
    assert (len(lists), lists.next_offset(["list99"])) == (0, 100)


def traced(lists: Lists, first: int, count: int, expires_at: datetime | None = None) -> float:
    """Add entries, and return the bytes that each has taken."""
    tracemalloc.start()
    for offset in range(first, first + count):
        lists.add("mules", f"C{offset:010d}", expires_at, offset)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / count


def test_an_entry_takes_about_a_hundred_bytes_and_one_that_expires_three_times_that() -> None:
    assert traced(Lists(), 0, 100_000) < 130
    assert traced(Lists(), 0, 20_000, NOON) < 400


def test_entries_that_are_added_again_and_again_take_no_more_memory() -> None:
    lists, taken = Lists(), list[int]()
    lists.at(NOON)
    values = [f"C{each:05d}" for each in range(200)]
    tracemalloc.start()
    for again in range(60):
        for each, value in enumerate(values):  # some by themselves, and some together
            apart = timedelta(microseconds=each)
            lists.add("longer", value, NOON + (1 + again) * HOUR + apart, again)
            lists.add("less long", value, NOON + (100 - again) * HOUR, again)
            lists.add("now and then", value, NOON + HOUR, again)
            lists.remove("now and then", value, again)
        taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(taken[30:]) < 1.5 * max(taken[:30])
    assert lists.sizes() == {"longer": 200, "less long": 200, "now and then": 0}
