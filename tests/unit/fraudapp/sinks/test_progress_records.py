"""Records of the topic of progress are read as they were written, and others are rejected."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.fingerprints import fingerprint_of, unpacked
from fraudapp.sinks.progress_records import Purged, Reached, entry_of, unpurged, written
from tests.support.decisions import decision

fingerprints = st.builds(
    fingerprint_of,
    st.integers(0, 2**63 - 1),
    st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=128),
    st.binary(max_size=50),
)
names = st.sampled_from(["redis", "postgres", "archive", "a-b2"])
entries = st.builds(Reached, names, st.integers(0, 9_999), st.none() | fingerprints) | st.builds(
    Purged, names, st.dates(), st.booleans()
)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(timezone.utc))


@given(entries)
def test_an_entry_is_read_as_it_was_written(entry: Reached | Purged) -> None:
    key, value, headers = written(entry)
    assert entry_of(key, value) == entry
    assert headers == []


@given(fingerprints)
def test_a_fingerprint_is_unpacked_as_it_was(fingerprint: object) -> None:
    assert unpacked(fingerprint.packed()) == fingerprint  # type: ignore[attr-defined]


@given(st.one_of(st.none(), st.binary(), names.map(str.encode)), st.none() | st.binary())
def test_records_of_other_programs_are_rejected(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(ValueError, match="key"):
        entry_of(key, value)
    for ours in (b"redis/0", b"redis/purged"):
        if value is not None or ours == b"redis/purged":
            with pytest.raises(ValueError, match=r"."):
                entry_of(ours, value)


@given(st.lists(moments, max_size=5), st.none() | st.dates(datetime(1970, 1, 1).date()))
def test_decisions_of_purged_days_are_left_out(decided: list[datetime], before: object) -> None:
    all_ = [decision(decided_at=each) for each in decided]
    left = unpurged(all_, before)  # type: ignore[arg-type]
    assert list(left) == [e for e in all_ if before is None or e.decided_at.date() >= before]  # type: ignore[operator]
    assert (left is all_) == (len(left) == len(all_))
