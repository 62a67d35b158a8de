"""What is in force at this worker, as documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from msgspec.structs import asdict

from fraudapp.control.follower import ControlLog
from fraudapp.settings import Settings
from models.control.chain import Candidate
from models.control.records import ROOT
from models.control.versions import Version
from tables.heartbeats import Heartbeat
from web.control.documents import PolicyChange, PolicyEntry, PolicyState, PolicyVersion
from web.schemas import CapState, PolicyBrief


def current(control: ControlLog, settings: Settings) -> PolicyState:
    """Return the last policy that came in force, and whether it decides here."""
    members = control.known.chain.members
    head = members[-1] if members else None
    return PolicyState(
        **_described(head),
        text=head.proposed.text if head else thresholds(settings),
        in_force=control.candidate is head,
        version=control.in_force.version,
        explore=control.in_force.ruling.policy.explore,
        model=(control.in_force.scorer or control.models.own).version,
        shadow=[each.version for each in control.in_force.challengers],
        canary=control.in_force.ruling.policy.canary,
        caps=caps(control),
        lists=sizes(control),
        notes=control.notes(),
    )


def brief(control: ControlLog) -> PolicyBrief:
    """Return what decides here, for the page of counts."""
    candidate = control.candidate
    return PolicyBrief(
        number=candidate.number if candidate else 0,
        version=control.in_force.version,
        author=candidate.proposed.author if candidate else "",
        at=moment(candidate.written_at) if candidate else None,
        notes=control.notes(),
        caps=caps(control),
    )


def changed(
    control: ControlLog, settings: Settings, number: int, heartbeats: Iterable[Heartbeat]
) -> PolicyChange:
    """Return the same after a change, with the workers that have not told of policy `number`."""
    behind = lagging(number, told := [*heartbeats])
    state = asdict(current(control, settings))
    return PolicyChange(**state, acknowledged=bool(told) and not behind, lagging=behind)


def lagging(number: int, heartbeats: Iterable[Heartbeat]) -> list[str]:
    """Return the workers that own a partition and decide by a policy before this one."""
    return sorted({each.worker for each in heartbeats if _number(each) < number})


def entry(candidate: Candidate) -> PolicyEntry:
    """Return a policy that was proposed, without its text."""
    return PolicyEntry(**_of_chain(candidate))


def version(candidate: Candidate) -> PolicyVersion:
    """Return a policy that was proposed, with its text."""
    return PolicyVersion(**_of_chain(candidate), text=candidate.proposed.text)


def before_any(settings: Settings) -> PolicyVersion:
    """Return what decides before any policy, as a policy."""
    fields = {**_described(None), "parent": ROOT, "fate": "in the chain", "why": ""}
    return PolicyVersion(**fields, text=thresholds(settings))


def caps(control: ControlLog) -> list[CapState]:
    """Return the caps of the policy that decides here which have begun and not ended."""
    candidate = control.candidate
    found = control.known.caps.get(candidate.id) if candidate else None
    if found is None:
        return []
    return [
        CapState(rule, each.share, moment(found.since[rule]), each.author, each.note)
        for rule, each in found.begun.items()
    ]


def sizes(control: ControlLog) -> dict[str, int]:
    """Return the entries of each list at present; the policy's lists without any are named, too."""
    lists = control.known.lists
    lists.at(datetime.now(timezone.utc))
    return {**dict.fromkeys(control.in_force.ruling.lists, 0), **lists.sizes()}


def thresholds(settings: Settings) -> str:
    """Return the thresholds of the settings as a policy file."""
    return f"flag_at = {settings.flag_at!r}\nblock_at = {settings.block_at!r}\n"


def moment(milliseconds: int) -> datetime | None:
    """Return a time of the broker's clock; None if it is out of bounds."""
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None


def _described(candidate: Candidate | None) -> dict[str, Any]:
    proposed = candidate.proposed if candidate else None
    approved = candidate.approved if candidate else None
    return {
        "id": candidate.id if candidate else ROOT,
        "number": candidate.number if candidate else 0,
        "author": proposed.author if proposed else "",
        "at": moment(candidate.written_at) if candidate else None,
        "note": proposed.note if proposed else "",
        "approved_by": approved.author if approved else None,
        "approval_note": approved.note if approved else "",
    }


def _of_chain(candidate: Candidate) -> dict[str, Any]:
    parent = candidate.proposed.parent
    chain = {"parent": parent, "fate": candidate.fate, "why": candidate.why}
    return {**_described(candidate), **chain}


def _number(heartbeat: Heartbeat) -> int:
    found = Version.of(heartbeat.policy_version)
    return found.number if found else 0
