"""Holds the labelled topic, dead letters, and the stores of labels against the recount."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

from tests.torture.callers import ToldLabel
from tests.torture.cluster import Cluster
from tests.torture.comparing import Found, Lines
from tests.torture.labelling import Labelling, Place, folded
from tests.torture.lines import day_of, line
from tests.torture.plans import moment
from tests.torture.reading import Record
from tests.torture.written import Written

Row = tuple[Any, ...]


def compare_labelled(
    labelled: Iterable[Record], labelling: Labelling, written: Written, found: Found
) -> None:
    """The labelled topic comes to what labels and decisions come to, and no label is lost."""
    found.mislabelled += [
        f"label {name} was confirmed by the broker and is not in the topic"
        for name in written.confirmed_labels - labelling.names
    ]
    found.mislabelled += [f"label {place} was not rerouted" for place in labelling.missing]
    there, wrong = folded(labelled)
    found.mislabelled += wrong
    for id_ in (there.keys() | labelling.joined.keys()) - labelling.unsure.keys():
        wanted, known = labelling.joined.get(id_), there.get(id_)
        if wanted is None:
            found.mislabelled.append(f"{id_} is in the labelled topic, and no label is on it")
        elif known is None:
            found.mislabelled.append(f"{id_} is not in the labelled topic")
        else:
            known = {**known, "decision": line(known["decision"])}
            names = [name for name in known if known[name] != wanted[name]]
            if names:
                found.mislabelled.append(
                    f"{id_} has another {', '.join(names)} in the labelled topic: "
                    + "; ".join(f"{known[name]}, expected {wanted[name]}" for name in names)
                )


def compare_dead_labels(
    dead_letters: Iterable[Record], labelling: Labelling, found: Found
) -> Counter[Place]:
    """Each label that cannot be joined is a dead letter, whole; returns how many of each."""
    count: Counter[Place] = Counter()
    allowed = labelling.superseded.union(labelling.dead, *labelling.unsure.values())
    for each in dead_letters:
        texts = each.texts
        place = int(texts["partition"]), int(texts["offset"])
        count[place] += 1
        origin = labelling.records.get(place)
        if origin is None or place not in allowed:
            found.mislabelled.append(f"label {place} is a dead letter without cause: {texts}")
            continue
        if (each.key, each.value) != (origin.key, origin.value):
            found.mislabelled.append(f"dead letter of label {place} has other bytes")
        if place in labelling.dead and texts["reason"] != labelling.dead[place]:
            found.mislabelled.append(f"dead letter of label {place} has reason {texts['reason']}")
    found.mislabelled += [
        f"label {place} is no dead letter, and should be: {labelling.dead[place]}"
        for place in labelling.dead.keys() - count.keys()
    ]
    return count


def compare_rows(
    rows: Iterable[Row], labelling: Labelling, first: Lines, written: Written, found: Found
) -> None:
    """Postgres has the labels of all decisions of days that were not purged, and no others."""
    there: dict[str, set[Row]] = {}
    for each in rows:
        there.setdefault(each[0], set()).add(each)
    for id_ in (there.keys() | labelling.joined.keys()) - labelling.unsure.keys():
        if id_ in written.cut_labels:
            continue
        wanted = _rows(id_, labelling.joined[id_]) if id_ in labelling.joined else set()
        known, day = there.get(id_, set()), day_of(first[id_]) if id_ in first else None
        if day and written.purged and day < written.purged and known:
            found.mislabelled.append(f"postgres has labels on {id_}, which was purged with {day}")
        elif known != wanted and not (not known and _is_purged(first[id_], written)):
            found.mislabelled.append(f"postgres has {known} on {id_}, expected {wanted}")


def compare_archived(
    lines: Iterable[Mapping[str, Any]],
    labelling: Labelling,
    first: Lines,
    written: Written,
    found: Found,
) -> None:
    """The newest lines of the archive are the labelled decisions."""
    there: dict[str, Mapping[str, Any]] = {}
    for each in lines:
        known = there.setdefault(each["decision"]["transaction_id"], each)
        if known["version"] < each["version"]:
            there[each["decision"]["transaction_id"]] = each
    for id_ in (there.keys() | labelling.joined.keys()) - labelling.unsure.keys():
        if id_ in written.cut_labels or (id_ in first and _is_purged(first[id_], written)):
            continue
        wanted = labelling.joined.get(id_, {}).get("version")
        version = there[id_]["version"] if id_ in there else None
        if version != wanted:
            found.mislabelled.append(
                f"the archive has version {version} of {id_}, expected {wanted}"
            )


def compare_told(
    told: Iterable[ToldLabel], labelled: Iterable[Record], written: Written, found: Found
) -> None:
    """Each label that a caller was given was the effective one once."""
    there = set()
    for each in labelled:
        record = json.loads(each.value or b"")
        source, id_ = record["source"], record["decision"]["transaction_id"]
        there.add((id_, source, record["label"], record["labels"][source]["by"]))
    found.mislabelled += [
        f"a caller was told {each[1:]} of {each[0]}, which no labelled decision says"
        for each in told
        if each not in there and each[0] not in written.cut_labels
    ]


async def in_postgres(cluster: Cluster) -> list[Row]:
    """Rows of the table of labels."""
    connection = await asyncpg.connect(cluster.postgres.url.replace("+asyncpg", ""))
    try:
        return [tuple(each.values()) for each in await connection.fetch("SELECT * FROM labels")]
    finally:
        await connection.close()


def _rows(id_: str, joined: Mapping[str, Any]) -> set[Row]:
    decided_at = moment(json.loads(joined["decision"])["decided_at"])
    return {
        (
            id_,
            source,
            said["label"],
            said["at"],
            said["by"],
            source == joined["source"],
            joined["partition"],
            said["offset"],
            joined["version"],
            decided_at,
        )
        for source, said in joined["labels"].items()
    }


def _is_purged(text: str, written: Written) -> bool:
    return written.ever_purged is not None and day_of(text) < written.ever_purged
