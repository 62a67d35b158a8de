"""The names of all topics of an application, which have to differ.

Consumer groups need no such check. They are made from the application's id: `APP`, `APP-redis`,
`APP-postgres`, `APP-archive` and `APP-dead-letters-replay-REASON`. Within one application they
differ. Those of two applications differ if no id begins with the other id and a hyphen.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

MAX_NAME_CHARACTERS: Final = 249
"""Characters that Kafka allows in the name of a topic."""
MADE_FROM_ID: Final = (
    "decision-counts-changelog",
    "partition-reports-changelog",
    "quality-changelog",
    "watch-changelog",
    "progress",
    "labelled",
)
"""Suffixes of the topics that an application creates for itself, each after `APP-`."""
_INTERNAL: Final = (
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
    "__cluster_metadata",
    "__remote_log_metadata",
)


def impossible(name: str) -> str | None:
    """Return why no topic of the application can have this name; None if one can."""
    if name in (".", ".."):
        return "Kafka allows no topic of this name"
    internal = next((each for each in _INTERNAL if _alike(each) == _alike(name)), None)
    return f"Kafka itself uses the topic {internal}" if internal else None


def clash(app_id: str, given: Mapping[str, str]) -> str | None:
    """Return a sentence that names two settings of one topic; None if all topics differ.

    `given` maps settings to names of topics. A record that is read from a topic and written to the
    same topic would be read again for ever.
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
    if len(longest) > MAX_NAME_CHARACTERS:
        return f"FRAUD_APP_ID={app_id} is too long: Kafka allows no topic of the name {longest}"
    return None


def _alike(name: str) -> str:
    return name.replace(".", "_")
