"""Policies that were proposed, in words: by whom, when, and what became of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import click

from fraudapp.cli.control import Control
from fraudapp.control.fitting import misfit
from models.characters import legible
from models.control.chain import Candidate
from models.control.records import ROOT


def moment(milliseconds: int) -> str:
    """Return a time since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(candidate: Candidate | None) -> str:
    """Return a policy of the chain with author and time; None is that of the settings."""
    if candidate is None:
        return "the thresholds of the settings, without a policy"
    by, when = legible(candidate.proposed.author), moment(candidate.written_at)
    approver = f", approved by {legible(candidate.approved.author)}" if candidate.approved else ""
    return f"version {candidate.number}, by {by} at {when}{approver}"


def fate(control: Control, candidate: Candidate) -> str:
    """Return what became of a policy, in a sentence without a full stop."""
    if candidate.number and candidate is not control.head:
        return f"replaced by version {candidate.number + 1}"
    if candidate.number:
        problem = misfit(candidate, control.settings.transaction_schema)
        return (
            f"does not fit, so that an earlier one is in force: {problem}"
            if problem
            else "in force"
        )
    if (
        candidate.fate == "waits for approval"
        and candidate.proposed.parent != control.known.chain.head
    ):
        return f"too late: version {len(control.known.chain.members)} is in force meanwhile"
    if candidate.fate == "waits for approval":
        return candidate.fate
    return f"{candidate.fate}: {legible(candidate.why.splitlines()[0])}"


def waiting_for_approval(control: Control) -> list[Candidate]:
    """Return the policies that somebody may approve now, in the order of the log."""
    return [
        each
        for each in control.known.chain.candidates.values()
        if each.fate == "waits for approval" and each.proposed.parent == control.known.chain.head
    ]


def found(control: Control, number: int) -> Candidate:
    """Return the policy with a number; raises `click.ClickException` if there is none."""
    member = control.known.chain.member(number)
    if member is None:
        count = len(control.known.chain.members)
        there = f"the last one is {count}" if count else "no policy was ever in force"
        raise click.ClickException(f"there is no version {number}: {there}")
    return member


def fields(control: Control, candidate: Candidate) -> dict[str, Any]:
    """Return what is known of a policy, without its text, for JSON."""
    parent = control.known.chain.candidates.get(candidate.proposed.parent)
    approved = candidate.approved
    return {
        "number": candidate.number or None,
        "id": candidate.id,
        "parent": candidate.proposed.parent if candidate.proposed.parent != ROOT else None,
        "parent_number": parent.number or None if parent else None,
        "author": candidate.proposed.author,
        "note": candidate.proposed.note,
        "approver": approved.author if approved else None,
        "approval_note": approved.note if approved else None,
        "written_at": moment(candidate.written_at),
        "offset": candidate.offset,
        "fate": fate(control, candidate),
    }
