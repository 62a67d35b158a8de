"""The policy that a backtest tries: one of a file, or one of the chain."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fraudapp.control.fitting import last_fitting, ruling_of
from fraudapp.control.model_shelf import Models
from fraudapp.settings import Settings
from models.control.chain import Chain
from models.policies.in_force import of_thresholds
from models.policies.reading import PolicyError
from models.policies.ruling import Ruling

IN_FORCE: Final = "in-force"
"""Names the policy that is in force."""


class Candidate(NamedTuple):
    """A policy, and its place in the chain."""

    name: str
    ruling: Ruling
    number: int | None = None
    """None if it is not in the chain."""
    problems: tuple[str, ...] = ()
    """Why later policies of the chain are not in force."""


def is_of_chain(policy: str) -> bool:
    """Whether a text names a policy of the chain, and not a file."""
    return policy == IN_FORCE or re.fullmatch(r"[1-9]\d{0,8}", policy) is not None


def of_chain(policy: str, chain: Chain, settings: Settings, models: Models) -> Candidate:
    """Return the policy of that number, or the one in force; raises `PolicyError`.

    `models` are those that may serve. In force are the thresholds of the settings while no policy
    of the chain is.
    """
    schema = settings.transaction_schema
    if policy == IN_FORCE:
        candidate, ruling, problems = last_fitting(chain, schema, models)
        if candidate is None or ruling is None:
            thresholds = of_thresholds(settings.policy, schema)
            return Candidate(thresholds.version, thresholds.ruling, None, problems)
        return Candidate(f"policy {candidate.number}", ruling, candidate.number, problems)
    if (member := chain.member(int(policy))) is None:
        known = f"they end with {len(chain.members)}" if chain.members else "there is none yet"
        raise PolicyError([f"there is no policy {policy} in {settings.control_topic}: {known}"])
    try:
        ruling = ruling_of(member, schema)
    except PolicyError as exc:
        raise PolicyError([f"policy {policy}: {each}" for each in exc.problems]) from exc
    return Candidate(f"policy {policy}", ruling, member.number)
