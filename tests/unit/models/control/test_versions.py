"""A version is read as it was written, and nothing else is a version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control.versions import MAX_OFFSET, Version
from models.policy import Policy

versions = st.builds(Version, st.integers(1, 999_999_999), st.integers(0, MAX_OFFSET))


@given(versions)
def test_a_version_is_read_as_it_was_written(version: Version) -> None:
    assert Version.of(str(version)) == version
    assert Version.of(str(version.number)) == (version.number, 0)


@given(st.text() | st.from_regex(r"\d*\+?\d*"))
def test_any_other_text_names_none(text: str) -> None:
    found = Version.of(text)
    assert found is None or text in (str(found), str(found.number))


@given(st.floats(0, 1), st.floats(0, 1))
def test_thresholds_of_the_settings_name_none(one: float, other: float) -> None:
    assert Version.of(Policy(min(one, other), max(one, other)).version) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "01", "1+", "+1", "1+01", "-1", "1+-1", "1 ", "1\n", "1+2\n", "1+2+3", "1.0"),
        *("\u0661", "1+\u0663", "1_0", f"1+{MAX_OFFSET + 1}", "1000000000"),
        *("1" * 5_000, "1+" + "1" * 5_000),
    ],
)
def test_near_misses_name_none(text: str) -> None:
    assert Version.of(text) is None


def test_versions_are_ordered_by_policy_and_then_by_offset() -> None:
    found = [each for each in map(Version.of, ["10+0", "9+7", "9", "9+10"]) if each]
    assert sorted(found) == [(9, 0), (9, 7), (9, 10), (10, 0)]
