"""Labelled decisions follow from both topics, in whatever turns they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.inputs import Input, Position
from models.labels.joining import MARGIN_MS, UNKNOWN, Row, Step, Told, Waiting
from models.labels.records import Label, Labelled, Said, Source, conflicting, labelled
from models.labels.state import Labels, apply
from models.records import Decision
from tests.support.decisions import decision

WAIT_MS = 10_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
IDS = ("a", "b", "c")


def told(offset: int, id_: str = "a", label: int = 1, **more: object) -> Told:
    source, written_at = more.get("source", Source.ANALYST), more.get("written_at", offset * 1_000)
    made = Label(transaction_id=id_, label=label, source=source, at=AT, by="ann")  # type: ignore[arg-type]
    position = Position("labels", 0, offset)
    return Told(made, Input(b"key", b"raw", position, position), written_at)  # type: ignore[arg-type]


def decided(id_: str, at_ms: int) -> Decision:
    return decision(id_, decided_at=EPOCH + timedelta(milliseconds=at_ms))


@dataclass
class Memory:
    """An index in memory."""

    rows: dict[str, Row] = field(default_factory=dict)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    joined: dict[str, Labelled] = field(default_factory=dict)
    dead: list[int] = field(default_factory=list)
    conflicts: int = 0

    def step(self) -> Step:
        rows = {id_: self.rows.get(id_, Row()) for id_ in IDS}
        return Step(rows, self.waiting, WAIT_MS)

    def write(self, step: Step) -> None:
        self.rows.update(step.rows)
        self.waiting |= step.added
        for offset in step.removed:
            del self.waiting[offset]
        for id_, each in step.joined.items():
            assert id_ not in self.joined or self.joined[id_].version < each.version
            self.joined[id_] = each
        assert {each.reason for each in step.rejected} <= {UNKNOWN}
        self.dead += (each.input.position.offset for each in step.rejected)
        self.conflicts += step.conflicts


topics = st.lists(
    st.builds(
        lambda id_, label, source: (id_, label, source),
        st.sampled_from(IDS),
        st.sampled_from([0, 1]),
        st.sampled_from(Source),
    ),
    max_size=16,
).map(lambda rows: [told(n, i, label, source=source) for n, (i, label, source) in enumerate(rows)])
logs = st.dictionaries(st.sampled_from(IDS), st.integers(0, 30_000)).map(
    lambda times: {id_: decided(id_, at) for id_, at in times.items()}
)


def in_time(each: Told, on: Decision) -> bool:
    at_ms = (on.decided_at - EPOCH) / timedelta(milliseconds=1)
    return at_ms <= each.written_at + WAIT_MS


def expected(topic: list[Told], log: dict[str, Decision]) -> dict[str, Labelled]:
    labels: dict[str, Labels] = {}
    for each in topic:
        on = log.get(each.label.transaction_id)
        if on and in_time(each, on):
            said = Said(
                label=each.label.label,
                at=each.label.at,
                by=each.label.by,
                offset=each.input.position.offset,
            )
            apply(labels.setdefault(each.label.transaction_id, {}), each.label.source, said)
    return {id_: labelled(log[id_], each) for id_, each in labels.items()}


@given(topics, logs, st.data())
def test_the_turns_in_which_topics_are_read_change_nothing(
    topic: list[Told], log: dict[str, Decision], data: st.DataObject
) -> None:
    memory, seen, at = Memory(), set[str](), 0
    while at < len(topic) or seen < log.keys():
        step = memory.step()
        left = sorted(log.keys() - seen)
        if at < len(topic) and (not left or data.draw(st.booleans())):
            end = data.draw(st.integers(at + 1, len(topic)))
            begin = data.draw(st.integers(0, at))  # some are read again
            step.hear(topic[begin:end], {id_: log[id_] for id_ in seen})
            at = end
        else:
            seen.add(id_ := data.draw(st.sampled_from(left)))
            if data.draw(st.booleans()):  # else it is found when the next label comes
                step.settle(log[id_])
        memory.write(step)
    step = memory.step()
    for each in log.values():
        step.settle(each)
    memory.write(step)
    assert memory.joined == expected(topic, log)
    assert memory.conflicts == sum(conflicting(row.labels) for row in memory.rows.values())
    assert {each.transaction_id for each in memory.waiting.values()}.isdisjoint(log)
    # All others wait: of each source the last.
    last = {
        (each.label.transaction_id, each.label.source): each.input.position.offset
        for each in topic
        if each.label.transaction_id not in log
    }
    assert sorted(memory.waiting) == sorted(last.values())


def test_a_label_is_dead_once_its_decision_would_be_too_late() -> None:
    memory = Memory()
    step = memory.step()
    step.hear([told(0), told(1, source=Source.CUSTOMER)], {})
    memory.write(step)
    assert list(memory.waiting) == [0, 1]
    first = memory.waiting[0]
    assert not first.is_overdue(WAIT_MS + MARGIN_MS, WAIT_MS)
    assert first.is_overdue(WAIT_MS + MARGIN_MS + 1, WAIT_MS)
    step = memory.step()
    step.expire(first)
    memory.write(step)
    (dead,) = step.rejected
    assert (dead.input, dead.reason) == (first.input, UNKNOWN)
    assert dead.detail == "no transaction of this id was decided within 10 s"
    step = memory.step()
    step.expire(first)  # again
    step.settle(decided("a", WAIT_MS + 500))
    assert step.rejected == []
    assert list(step.joined["a"].labels) == [Source.CUSTOMER]
    memory.write(step)
    assert memory.waiting == {}


def test_a_label_on_a_decision_that_was_made_too_late_is_dead_at_once() -> None:
    step = Memory().step()
    late = decided("a", WAIT_MS + 1)
    step.hear([told(0)], {"a": late})
    (dead,) = step.rejected
    assert (dead.reason, dead.input.position.offset) == (UNKNOWN, 0)
    assert "was decided at 1970-01-01 00:00:10.001000+00:00, later" in dead.detail
    assert step.joined == {}


def test_of_one_source_only_the_last_waits() -> None:
    memory = Memory()
    for turn in ([told(0)], [told(1, label=0), told(2)], [told(1, label=0)]):
        step = memory.step()
        step.hear(turn, {})
        assert step.rejected == []
        memory.write(step)
    assert list(memory.waiting) == [2]


def test_what_is_missing_is_an_error() -> None:
    step = Step({"a": Row(waiting={Source.ANALYST: 7})}, {}, WAIT_MS)
    with pytest.raises(KeyError):
        step.settle(decided("a", 0))
