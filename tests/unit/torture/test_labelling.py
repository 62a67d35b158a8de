"""The program and the torture's checker join labels alike, and it sees what is lost."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import encode as encode_decision
from models.inputs import Input, Position
from models.key_hash import partition_of
from models.labels.joining import Row, Step, Told, Waiting
from models.labels.parsing import parse
from models.labels.records import encode
from models.records import Decision
from tests.support.decisions import decision
from tests.torture import mislabelled
from tests.torture.cluster import LABEL_WAIT, LABELS
from tests.torture.comparing import Found
from tests.torture.labelling import UNKNOWN, Labelling
from tests.torture.lines import line
from tests.torture.load import PARTITIONS
from tests.torture.reading import Record
from tests.torture.telling import SOURCES
from tests.torture.written import Written

NOW: Final = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
IDS: Final = tuple(
    id_ for id_ in map(str, range(40)) if partition_of(id_.encode(), PARTITIONS) == 1
)
DEAD: Final = "dead-letters"


def label(id_: str, source: str = "analyst", label: Any = 1, by: str = "ann") -> bytes:
    fields = {"transaction_id": id_, "label": label, "source": source, "by": by}
    return json.dumps(fields | {"at": NOW.isoformat()}).encode()


def told(value: bytes | None, offset: int, seconds: float = 0, **more: Any) -> Record:
    fields: dict[str, Any] = {"partition": 1, "key": b"k", "headers": ()} | more
    written_at = int((NOW.timestamp() + seconds) * 1_000)
    return Record(topic=LABELS, offset=offset, value=value, written_at=written_at, **fields)


def dead(record: Record, reason: str = UNKNOWN) -> Record:
    texts = {"reason": reason, "topic": LABELS, "partition": record.partition}
    headers = {
        name: str(text).encode() for name, text in {**texts, "offset": record.offset}.items()
    }
    return Record(DEAD, 0, 0, record.key, record.value, tuple(headers.items()))


def made(id_: str, seconds: float = -1) -> Decision:
    return decision(id_, decided_at=NOW + timedelta(seconds=seconds))


def lines(*decisions: Decision) -> dict[str, str]:
    return {each.transaction_id: line(json.loads(encode_decision(each))) for each in decisions}


def joined_by_program(
    records: list[Record], decisions: dict[str, Decision]
) -> tuple[list[Record], set[int]]:
    """What the program writes to the labelled topic, and the offsets of dead letters."""
    rows: dict[str, Row] = {}
    waiting: dict[int, Waiting] = {}
    labelled: list[Record] = []
    buried: set[int] = set()
    events = [(each.written_at, each) for each in records]
    events += [(int(each.decided_at.timestamp() * 1_000), each) for each in decisions.values()]  # type: ignore[misc]
    known: dict[str, Decision] = {}
    for _, event in sorted(events, key=lambda each: each[0]):
        step = Step(rows, waiting, int(LABEL_WAIT * 1_000))
        if isinstance(event, Record):
            value, position = parse(event.value), Position(LABELS, 1, event.offset)
            rows.setdefault(value.transaction_id, Row())
            source = Input(event.key, event.value, position, position)
            step.hear([Told(value, source, event.written_at)], known)
        else:
            known[event.transaction_id] = event
            step.settle(event)
        for each in step.joined.values():
            encoded = Record("labelled", 1, len(labelled), b"", encode(each), ())
            labelled.append(encoded)
        buried |= {each.input.position.offset for each in step.rejected}
        waiting |= step.added
    return labelled, buried | {each for row in rows.values() for each in row.waiting.values()}


@given(st.integers(0, 2**32))
def test_both_join_alike(seed: int) -> None:
    random_ = random.Random(seed)
    records = [
        told(
            label(random_.choice(IDS[:4]), random_.choice(SOURCES), random_.choice([0, 1, True])),
            offset,
            2 * offset,
        )
        for offset in range(random_.randint(0, 30))
    ]
    decided = random_.sample(IDS[:4], 3)
    decisions = {id_: made(id_, random_.uniform(-5, 70)) for id_ in decided}
    labelled, buried = joined_by_program(records, decisions)
    first, found = lines(*decisions.values()), Found()
    recount = Labelling(records, first, Written())
    mislabelled.compare_labelled(labelled, recount, Written(), found)
    letters = [dead(each) for each in records if each.offset in buried]
    mislabelled.compare_dead_labels(letters, recount, found)
    assert found.mislabelled == []


A: Final = IDS[0]


def complaints(records: list[Record], labelled: list[Record], letters: list[Record]) -> list[str]:
    found = Found()
    recount = Labelling(records, lines(made(A)), Written())
    mislabelled.compare_labelled(labelled, recount, Written(), found)
    mislabelled.compare_dead_labels(letters, recount, found)
    return found.mislabelled


def test_what_is_lost_doubled_or_another_is_told() -> None:
    records = [told(label(A), 0), told(label(A, "customer", 0), 1), told(label("nobody"), 2)]
    records[2] = records[2]._replace(partition=partition_of(b"nobody", PARTITIONS))
    labelled, _ = joined_by_program(records[:2], {A: made(A)})
    letters = [dead(records[2])]
    assert complaints(records, labelled, letters) == []
    assert "is not in the labelled topic" in complaints(records, [], letters)[0]
    assert "is no dead letter" in complaints(records, labelled, [])[0]
    assert "has another version" in complaints(records, labelled[:1], letters)[0]
    assert "without cause" in complaints(records, labelled, [*letters, dead(records[0])])[0]
    assert "has reason" in complaints(records, labelled, [dead(records[2], "invalid")])[0]
    assert "no label is on it" in complaints(records[2:], labelled, letters)[0]
    value = json.loads(labelled[1].value or b"") | {"label": 0}
    other = labelled[1]._replace(value=json.dumps(value).encode())
    assert "have one version" in complaints(records, [*labelled, other], letters)[0]


@pytest.mark.parametrize("value", [None, b"", b"{}", label(A, label=2), label(A, "nobody")])
def test_an_invalid_label_has_to_be_a_dead_letter(value: bytes | None) -> None:
    records = [told(value, 0)]
    assert complaints(records, [], [dead(records[0], "invalid")]) == []
    assert complaints(records, [], [])


def test_a_misrouted_label_has_to_be_rerouted_and_counts_once() -> None:
    origin = told(label(A), 7, partition=0)
    copy = told(label(A), 3, headers=(("origin", b"labels/0/7"),))
    again = copy._replace(offset=5)
    labelled, _ = joined_by_program([copy], {A: made(A)})
    assert complaints([origin, copy, again], labelled, []) == []
    assert complaints([origin], [], []) == ["label (0, 7) was not rerouted"]


def test_rows_and_archive_have_what_the_topic_has() -> None:
    records = [told(label(A), 0), told(label(A, "customer", 0), 1)]
    labelled, _ = joined_by_program(records, {A: made(A)})
    first = lines(made(A))
    recount = Labelling(records, first, Written())
    at = (NOW, "ann")
    rows = [
        (A, "analyst", 1, *at, True, 1, 0, 1, made(A).decided_at),
        (A, "customer", 0, *at, False, 1, 1, 1, made(A).decided_at),
    ]
    archived = [json.loads(each.value or b"") for each in labelled]

    def wrong(rows: list[Any], archived: list[Any], written: Written | None = None) -> list[str]:
        found = Found()
        mislabelled.compare_rows(rows, recount, first, written or Written(), found)
        mislabelled.compare_archived(archived, recount, first, written or Written(), found)
        return found.mislabelled

    assert wrong(rows, archived) == []
    assert wrong(rows, [*reversed(archived)]) == []
    assert len(wrong(rows[:1], archived[:1])) == 2
    assert len(wrong([], [])) == 2
    cut = Written()
    cut.cut_labels.add(A)
    assert wrong([], [], cut) == []
    purged = Written()
    purged.purge(NOW.date() + timedelta(days=1))
    assert wrong([], [], purged) == []
    assert "was purged" in wrong(rows, [], purged)[0]


def test_a_caller_is_told_labels_that_counted_once() -> None:
    records = [told(label(A), 0), told(label(A, "chargeback", 0, "bob"), 1)]
    labelled, _ = joined_by_program(records, {A: made(A)})

    def wrong(*answers: tuple[str, str, int, str]) -> list[str]:
        found = Found()
        mislabelled.compare_told(answers, labelled, Written(), found)
        return found.mislabelled

    assert wrong((A, "analyst", 1, "ann"), (A, "chargeback", 0, "bob")) == []
    assert (
        len(
            wrong((A, "analyst", 0, "ann"), (A, "chargeback", 0, "ann"), ("b", "analyst", 1, "ann"))
        )
        == 3
    )
