"""What was given before is always told; of the rest, next to nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.seen import Seen


@given(st.lists(st.lists(st.binary(max_size=12), unique=True, max_size=50), max_size=6))
def test_what_was_given_before_is_told(batches: list[list[bytes]]) -> None:
    seen, before = Seen(), set[bytes]()
    for keys in batches:
        found = seen.perhaps(keys)
        assert before.intersection(keys) <= {*found} <= {*keys}
        before.update(keys)


def test_hardly_anything_else_is_told() -> None:
    seen, many = Seen(), 100_000
    told = [
        len(seen.perhaps([b"%d" % n for n in range(at, at + 1_000)]))
        for at in range(0, many, 1_000)
    ]
    assert sum(told) < many / 100
