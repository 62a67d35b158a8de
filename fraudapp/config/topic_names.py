"""The names of all topics of an application, which have to differ.

Consumer groups need no such check: they are made from the application's id, as `APP`, `APP-redis`,
`APP-postgres`, `APP-archive` and `APP-dead-letters-replay-REASON`, so within one application they
differ. Those of two applications do if no id begins with the other's and a hyphen.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

LONGEST_NAME: Final = 249
"""Characters of a topic's name in Kafka."""
MADE_FROM_ID: Final = ("decision-counts-changelog", "partition-reports-changelog", "progress")
"""Ends of the names of topics that an application makes for itself, each after `APP-`."""
_INTERNAL: Final = (
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
    "__remote_log_metadata",
)


def impossible(name: str) -> str | None:
    """Why no topic of ours can have this name; None if one can."""
    if name in (".", ".."):
        return "Kafka allows no topic of this name"
    internal = next((each for each in _INTERNAL if _alike(each) == _alike(name)), None)
    return f"Kafka keeps its own books in {internal}" if internal else None


def clash(app_id: str, given: Mapping[str, str]) -> str | None:
    """A sentence that names two settings which lead to one topic; None if all topics differ.

    `given` are names of topics, by that of their setting. What is read from a topic and written to
    it again would come again for ever.
    """
    made = {f"FRAUD_APP_ID={app_id} (its topic {app_id}-{end})": end for end in MADE_FROM_ID}
    named = {f"{setting}={name}": name for setting, name in given.items()}
    named |= {source: f"{app_id}-{end}" for source, end in made.items()}
    for (source, name), (other_source, other) in combinations(named.items(), 2):
        if name == other:
            return f"{source} and {other_source} are one and the same topic; give them two names"
        if _alike(name) == _alike(other):
            return (
                f"{source} and {other_source} are the same to Kafka, in whose metrics '.' becomes "
                "'_'; give them names that differ in more than that"
            )
    longest = max(named.values(), key=len)
    if len(longest) > LONGEST_NAME:
        return f"FRAUD_APP_ID={app_id} is too long: Kafka allows no topic of the name {longest}"
    return None


def _alike(name: str) -> str:
    return name.replace(".", "_")
