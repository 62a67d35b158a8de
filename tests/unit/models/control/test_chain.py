"""What becomes of a policy is told in words, and an approval has to be by somebody else."""

from __future__ import annotations

from typing import Any

from models.control.chain import Candidate, Chain
from models.control.records import ROOT, Approved, Proposed


def candidate(id_: str, parent: str = ROOT, **changes: Any) -> Candidate:
    proposed = Proposed(**{"parent": parent, "text": "", "author": "ann", **changes})
    return Candidate(id_, proposed, 0, 0)


def test_a_policy_that_is_too_late_says_whose_place_it_was_to_take() -> None:
    chain = Chain()
    assert chain.head == ROOT
    before = candidate("early", "unknown")
    assert not chain.propose(before)
    assert before.why == "it was to take the place of no version in force, and none was in force"
    assert chain.propose(candidate("a"))
    assert chain.propose(candidate("b", "a"))
    assert not chain.propose(late := candidate("c", "a"))
    assert (late.fate, late.number) == ("too late", 0)
    assert late.why == "it was to take the place of version 1, and version 2 was in force"


def test_only_somebody_else_approves_and_only_once() -> None:
    chain = Chain()
    waiting = candidate("a", needs_approval=True)
    assert not chain.propose(waiting)
    assert not chain.approve("a", Approved(author="ann"))
    assert not chain.approve("b", Approved(author="ben"))
    assert waiting.fate == "waits for approval"
    assert chain.approve("a", Approved(author="ben", note="fine"))
    assert not chain.approve("a", Approved(author="cleo"))
    assert (chain.head, waiting.approved) == ("a", Approved(author="ben", note="fine"))


def test_an_approval_of_what_is_too_late_changes_nothing() -> None:
    chain = Chain()
    chain.propose(first := candidate("b", needs_approval=True))
    chain.propose(other := candidate("c", needs_approval=True))
    assert chain.approve("b", Approved(author="ben"))
    for _ in range(2):
        assert not chain.approve("c", Approved(author="ben"))
    assert (first.fate, other.fate) == ("in the chain", "too late")
    assert [each.id for each in chain.members] == ["b"]


def test_whoever_does_not_ask_for_approval_needs_it_where_the_last_one_did() -> None:
    chain = Chain()
    chain.propose(candidate("a", needs_approval=True))
    assert chain.approve("a", Approved(author="ben"))
    assert not chain.propose(unasked := candidate("b", "a"))
    assert unasked.fate == "waits for approval"
    assert chain.approve("b", Approved(author="ben"))
    assert chain.propose(candidate("c", "b"))  # from here on nobody has to


def test_no_text_of_a_policy_has_a_part_in_the_chain() -> None:
    chain = Chain()
    assert chain.propose(candidate("a", text="of a later version = [of the program]"))
    assert chain.propose(candidate("b", "a", text="flag_at = 0.5"))
    assert [each.number for each in chain.members] == [1, 2]


def test_a_second_one_under_an_id_changes_nothing() -> None:
    chain = Chain()
    chain.propose(first := candidate("a"))
    assert not chain.propose(candidate("a", "a", text="flag_at = 1"))
    assert chain.members == [first]
    assert chain.candidates == {"a": first}
