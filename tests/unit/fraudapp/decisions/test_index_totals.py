"""Totals that were written are loaded as they were, and those that lack a part are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.index_totals import Totals, loaded
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.support.decisions import decision, decisions


class Entries:
    """Entries by key, as a database has them."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, bytes] = {}

    def write(self, totals: Totals, some: Sequence[Decision]) -> None:
        for key, value in totals.add(some, PAYSIM):
            if value is None:
                del self.by_key[key]
            else:
                self.by_key[key] = value

    def loaded(self) -> Totals | None:
        return loaded(lambda keys: [self.by_key.get(key) for key in keys], self._with_prefix)

    def _with_prefix(self, prefix: bytes) -> dict[bytes, bytes]:
        return {key: value for key, value in self.by_key.items() if key.startswith(prefix)}


@given(st.lists(decisions, max_size=12), st.integers(1, 5))
def test_what_was_written_is_loaded(some: list[Decision], at_once: int) -> None:
    totals, entries = Totals(), Entries()
    for begin in range(0, len(some), at_once):
        entries.write(totals, some[begin : begin + at_once])
        found = entries.loaded()
        assert found is not None
        assert found.counts == totals.counts
        assert found.activity == totals.activity
        assert found.quality == totals.quality
    assert totals.counts == Counter(each.decision.value for each in some)
    assert totals.decided == len(some)


def test_of_no_entries_there_are_none() -> None:
    assert Entries().loaded() is None
    entries = Entries()
    entries.write(Totals(), [])
    assert (found := entries.loaded()) is not None
    assert found.decided == 0


@pytest.mark.parametrize("key", [b"\x00counts", b"\x00activity", b"\x00quality"])
def test_entries_that_lack_a_part_are_refused(key: bytes) -> None:
    entries = Entries()
    entries.write(Totals(), [decision("a"), decision("b")])
    del entries.by_key[key]
    with pytest.raises(ValueError, match=r"a part is missing|cells of 0 of 2 decisions"):
        entries.loaded()
