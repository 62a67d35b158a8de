"""A file is sent again only if it has changed."""

from __future__ import annotations

import pytest

from web.pages import names


@pytest.mark.parametrize(
    "conditions",
    [['"a1"'], ["*"], [" * "], ['"b","a1"'], ['W/"b" , "a1"'], ['"b"', '"a1"'], ['"a,b","a1"']],
)
def test_a_tag_that_is_named_is_found(conditions: list[str]) -> None:
    assert names(conditions, "a1")
    assert names(conditions, "a1", weakly=True)


@pytest.mark.parametrize(
    "conditions", [[], [""], ["a1"], ['"a1'], ['"a1-gzip"'], ['"*"'], ['*,"b"'], ['"",' * 10_000]]
)
def test_others_are_not_taken_for_it(conditions: list[str]) -> None:
    assert not names(conditions, "a1")
    assert not names(conditions, "a1", weakly=True)


def test_a_weak_tag_is_as_good_for_what_is_known_only() -> None:
    assert names(['"b",W/"a1"'], "a1", weakly=True)
    assert not names(['"b",W/"a1"'], "a1")
    assert names(['W/"a1","a1"'], "a1")
