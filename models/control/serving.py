"""Since when the policies of a chain have had a model decide, or score in shadow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from models.control.chain import Candidate
from models.policies.naming import NamedModels, named_models

MAX_LOOKED_AT: Final = 1_000
"""Policies that are looked at: the last ones."""


def serving_since(
    members: Sequence[Candidate], serves: Callable[[NamedModels], bool]
) -> Candidate | None:
    """Return the policy from which on all up to the last one are such that the model serves.

    None if the last one is not, or if all are, and so is having no policy: then no policy has
    changed it. One that cannot be read was never in force, and is passed over. Of those before the
    last `MAX_LOOKED_AT` nothing is known, so the model may serve for longer.
    """
    found = None
    for each in reversed(members[-MAX_LOOKED_AT:]):
        if (named := named_models(each.proposed.text)) is None:
            continue
        if not serves(named):
            return found
        found = each
    return None if serves(NamedModels()) and len(members) <= MAX_LOOKED_AT else found
