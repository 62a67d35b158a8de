"""What the topic of labels and the log of decisions have to come to, by code of its own."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from models.key_hash import partition_of
from models.labels.parsing import InvalidLabel, parse
from models.labels.records import Label
from tests.torture.cluster import LABEL_WAIT, LABELS
from tests.torture.load import PARTITIONS
from tests.torture.plans import moment
from tests.torture.reading import Record
from tests.torture.telling import SOURCES
from tests.torture.written import Written

Place = tuple[int, int]
"""Partition and offset in the topic of labels."""
INVALID: Final = "invalid"
UNKNOWN: Final = "unknown-transaction"


class Told(NamedTuple):
    """A label in its key partition."""

    label: Label
    origin: Place
    partition: int
    offset: int
    written_at: int

    def is_too_late(self, decided_at: datetime) -> bool:
        """Whether it had waited for too long when its transaction was decided."""
        written = datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=self.written_at)
        return decided_at > written + timedelta(seconds=LABEL_WAIT)


class Labelling:
    """The labelled decisions and the dead letters that there have to be."""

    def __init__(
        self,
        labels: Iterable[Record],
        first: Mapping[str, str],
        written: Written,
        buried: Collection[Place] = (),
    ) -> None:
        """`labels` are in the order of their topic, `first` the decisions that count.

        Workers may have `buried` labels by clocks that were wrong, and the decision came then.
        """
        self.records: dict[Place, Record] = {}
        """Labels, without the copies that workers have rerouted."""
        self.names: set[str] = set()
        """Who tells them: each label has a name of its own."""
        self.missing: list[Place] = []
        """Misrouted labels of which there is no copy."""
        self.dead: dict[Place, str] = {}
        """The reason of each dead letter that has to be."""
        self.superseded: set[Place] = set()
        """Labels that a later one of the same source has replaced while they waited.

        They may be dead letters, if they had been it before.
        """
        self.unsure: dict[str, set[Place]] = {}
        """By id, labels that a worker with a wrong clock has given up: they count or do not."""
        self.joined: dict[str, dict[str, Any]] = {}
        """By id: version, label, source, labels and decision, as the labelled topic has them."""
        told: dict[str, list[Told]] = {}
        for each in self._in_key_partition(labels, written):
            told.setdefault(each.label.transaction_id, []).append(each)
        for id_, all_ in told.items():
            self._take(id_, sorted(all_, key=lambda each: each.offset), first.get(id_))
            given_up = {each.origin for each in all_ if each.origin in buried} - self.dead.keys()
            if id_ in first and given_up:
                self.unsure[id_] = given_up

    def _in_key_partition(self, labels: Iterable[Record], written: Written) -> list[Told]:
        found: list[Told] = []
        misrouted: set[Place] = set()
        copied: set[Place] = set()
        for each in labels:
            place, is_copy = (each.partition, each.offset), written.is_copy(each)
            if not is_copy:
                self.records[place] = each
            try:
                label = parse(each.value)
            except InvalidLabel:
                self.dead[place] = INVALID
                continue
            self.names.add(label.by)
            origin = _origin(each) if is_copy else place
            if partition_of(label.transaction_id.encode(), PARTITIONS) != each.partition:
                misrouted.add(place)
            elif not is_copy or origin not in copied:  # of several copies the first counts
                if is_copy:
                    copied.add(origin)
                found.append(Told(label, origin, *place, each.written_at))
        self.missing = sorted(misrouted - copied)
        return found

    def _take(self, id_: str, told: list[Told], line: str | None) -> None:
        decided_at = moment(json.loads(line)["decided_at"]) if line else None
        last: dict[str, Told] = {}
        for each in told:
            if decided_at is None or each.is_too_late(decided_at):
                self.dead[each.origin] = UNKNOWN
            else:
                last[each.label.source.value] = each
        newest = {each.label.source: each for each in told}
        for each in told:
            if self.dead.get(each.origin) == UNKNOWN and newest[each.label.source] is not each:
                del self.dead[each.origin]
                self.superseded.add(each.origin)
        if line and last:
            self.joined[id_] = _joined(last, line)


def folded(labelled: Iterable[Record]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What the records of the labelled topic come to by id, and what two say of one version."""
    found: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    for each in labelled:
        record = json.loads(each.value or b"")
        for said in record["labels"].values():
            said["at"] = moment(said["at"])
        id_ = record["decision"]["transaction_id"]
        known = found.get(id_)
        if known and known["version"] == record["version"] and known != record:
            wrong.append(f"two labelled decisions on {id_} have one version, and differ")
        if known is None or known["version"] < record["version"]:
            found[id_] = record
    return found, wrong


def _joined(last: Mapping[str, Told], line: str) -> dict[str, Any]:
    source = next(each for each in SOURCES if each in last)
    return {
        "version": max(each.offset for each in last.values()),
        "label": last[source].label.label,
        "source": source,
        "labels": {
            name: {
                "label": each.label.label,
                "at": each.label.at,
                "by": each.label.by,
                "offset": each.offset,
            }
            for name, each in last.items()
        },
        "decision": line,
        "partition": next(iter(last.values())).partition,
    }


def _origin(copy: Record) -> Place:
    topic, partition, offset = copy.texts["origin"].split("/")
    assert topic == LABELS, copy
    return int(partition), int(offset)
