"""What is in no window any more goes from the disk, and no value changes by that."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from fraudapp.profiles import sweep
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.store import SIDES
from models.profiles.windows import DAY
from tests.unit.fraudapp.profiles.shop import NOW, folded, opened, paid, told, values

CUSTOMERS, TERMINALS = ["C1", "C2", "C3"], ["T1", "T2", "T3"]
KEPT_DAYS = 30


def swept(profiles: Folded, now: datetime) -> None:
    """Let two passes begin, and the second one end: the first only notes the time."""
    at = 0.0
    for _ in range(2):
        for _ in range(10):
            profiles.sweep(now.timestamp(), at)
            at += sweep.PAUSE
        at += sweep.INTERVAL


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(CUSTOMERS), st.sampled_from(TERMINALS), st.floats(0, 80), st.booleans()
        ),
        max_size=20,
    )
)
def test_no_value_changes(rows: list[tuple[str, str, float, bool]]) -> None:
    log = [
        paid(f"t{place}", customer, terminal, at=NOW - timedelta(days=ago))
        for place, (customer, terminal, ago, _) in enumerate(rows)
    ]
    labels = [told(each, 1, n, offset=n) for n, each in enumerate(log) if rows[n][3]]
    with TemporaryDirectory() as folder:
        profiles = folded(Path(folder) / "p")
        profiles.apply(0, log, len(log))
        profiles.add_labels(labels, {0: len(log)})
        profiles.apply_due(NOW.timestamp() + 1_000)
        profiles.write()
        before = values(profiles, CUSTOMERS, TERMINALS)
        swept(profiles, NOW)
        profiles.reopen()
        assert values(profiles, CUSTOMERS, TERMINALS) == before
        left = [*profiles.store.entries(SIDES, 1_000)]
        oldest = NOW.timestamp() - (KEPT_DAYS + 2) * DAY
        assert all(each.second >= oldest for each in left)
        for customer in CUSTOMERS:
            recent = any(row[0] == customer and row[2] < KEPT_DAYS for row in rows)
            assert not recent or profiles.store.get([b"\x01" + customer.encode()]) != [None]
        # Labels that are read again move nothing either.
        profiles.labelled = {}
        profiles.add_labels(labels, {0: len(log)})
        profiles.apply_due(NOW.timestamp() + 1_000)
        assert values(profiles, CUSTOMERS, TERMINALS) == before
        profiles.close()


def test_buckets_that_are_in_no_window_go(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    days = range(100, -1, -4)
    many = sweep.MERGED + 1
    log = [
        paid(f"t{customer}-{ago}", f"C{customer}", "T1", at=NOW - timedelta(days=ago))
        for ago in days
        for customer in range(many)
    ]
    profiles.apply(0, log, len(log))
    profiles.write()
    before = values(profiles, CUSTOMERS, TERMINALS)
    sizes = [len(each.value) for each in profiles.store.entries(SIDES, 1_000)]
    swept(profiles, NOW)
    profiles.reopen()
    assert values(profiles, CUSTOMERS, TERMINALS) == before
    for each, size in zip(profiles.store.entries(SIDES, 1_000), sizes, strict=True):
        assert len(each.value) < size * 0.5
    profiles.close()


def test_a_clock_that_is_wrong_for_a_while_removes_nothing(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    profiles.apply(0, [paid("t1")], 1)
    profiles.write()
    wrong, at = NOW + timedelta(days=400), 0.0
    for moment in (NOW, wrong, NOW, NOW):
        for _ in range(3):
            profiles.sweep(moment.timestamp(), at)
            at += sweep.PAUSE
        at += sweep.INTERVAL
    assert len(profiles.store.entries(SIDES, 10)) == 2
    swept(profiles, wrong)
    profiles.close()


def test_many_are_looked_at_in_slices(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    many = sweep.SLICE * 2 + 1
    profiles.apply(0, [paid(f"t{n}", f"C{n}", None) for n in range(many)], many)
    profiles.write()
    late = (NOW + timedelta(days=60)).timestamp()

    def left() -> int:
        return len(profiles.store.entries(SIDES, 10_000))

    profiles.sweep(late, 0.0)
    at = sweep.INTERVAL
    counts = []
    for _ in range(4):
        profiles.sweep(late, at)
        profiles.sweep(late, at + sweep.PAUSE / 2)  # too soon
        counts.append(left())
        at += sweep.PAUSE
    assert counts == [sweep.SLICE + 1, 1, 0, 0]
    profiles.close()
    with closing(opened(tmp_path / "p")) as store:
        assert store.entries(SIDES, 1) == []
        assert store.state.decisions == {0: many}
