"""The labels of one transaction by source: a function of the topic of labels."""

from __future__ import annotations

from models.labels.records import Said, Source

Labels = dict[Source, Said]
"""The last label of each source that has spoken."""


def apply(labels: Labels, source: Source, said: Said) -> bool:
    """Take in what a source has said; returns whether it changes anything.

    Of one source the last in the topic counts. So labels may be applied in any order, and again.
    """
    before = labels.get(source)
    if before is not None and before.offset >= said.offset:
        return False
    labels[source] = said
    return True
