"""A cap begins and ends in the order of the log, and only a change gets a new offset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.control.caps import Caps
from models.control.records import CapKey, Capped

ID = "0" * 32


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.booleans()), max_size=30))
def test_caps_are_the_last_that_was_said_of_each(said: list[tuple[str, bool]]) -> None:
    caps, begun, next_offset = Caps(), set[str](), 0
    for offset, (rule, on) in enumerate(said):
        value = Capped(on=on, share=0.5, author=f"worker {offset}")
        changes = on is not (rule in begun)
        assert caps.apply(CapKey(ID, rule), value, offset) is changes
        begun = begun | {rule} if on else begun - {rule}
        next_offset = offset + 1 if changes else next_offset
        assert caps.in_force.on_all is ("" in begun)
        assert caps.in_force.rules == begun - {""}
        assert set(caps.begun) == begun
        assert caps.next_offset == next_offset


def test_the_first_who_has_seen_a_cap_is_named_until_it_ends() -> None:
    caps = Caps()
    for offset, author in enumerate(("one", "other")):
        caps.apply(CapKey(ID, "a"), Capped(on=True, share=0.5, author=author), offset)
    assert caps.begun["a"].author == "one"
