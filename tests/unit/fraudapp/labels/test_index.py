"""A label index is that of an earlier offset after a crash, and empty after damage."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.labels import index as indexes
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.labels.index import FILES, LabelIndex
from fraudapp.process.rocks import FolderInUse
from models.inputs import Input, Position
from models.labels.joining import Told
from models.labels.records import Label, Source, Value
from tests.support.decisions import decision
from tests.support.labels import read_to

MADE_OF = (LogIdentity("app", "labels", 0, "one"), LogIdentity("app", "labelled", 0, "two"))
WAIT_MS = 10**15
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def opened(folder: Path, made_of: tuple[LogIdentity, ...] = MADE_OF) -> LabelIndex:
    return LabelIndex(folder, made_of, files=FILES)


def told(offset: int, id_: str, label: Value = 1, source: Source = Source.ANALYST) -> Told:
    made = Label(transaction_id=id_, label=label, source=source, at=AT, by="ann")
    position = Position("labels", 0, offset)
    lost = (("key-bytes", b"9"),)
    return Told(made, Input(None, b"raw\0", position, Position("labels", 1, 7), lost), 1_000)


def hear(index: LabelIndex, *new: Told, decided: str = "") -> None:
    ids = [each.label.transaction_id for each in new]
    step = index.step(ids, WAIT_MS)
    step.hear(new, {id_: decision(id_) for id_ in ids if id_ in decided})
    index.await_decisions(step)
    end = new[-1].input.position.offset + 1
    index.write(step, read_to(end), [each.input.origin for each in new])


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LabelIndex]:
    with closing(opened(tmp_path / "p")) as index:
        yield index


def reopened(index: LabelIndex) -> LabelIndex:
    index.close()
    return opened(index.folder)


def test_what_was_written_is_there_again(index: LabelIndex) -> None:
    assert (index.next_offset, index.settled(), index.awaited) == (0, 0, set())
    hear(index, told(3, "a"), told(4, "b"), told(6, "a", 0, Source.CUSTOMER), decided="b")
    for again in (index, other := reopened(index)):
        if again is index:
            continue
        assert (again.next_offset, again.waiting, again.conflicting) == (7, 2, 0)
        assert again.awaited == {"a"}
        assert again.settled() == 3
        assert [each.input for each in again.waiting_from(0, 9)] == [
            told(3, "a").input,
            told(6, "a").input,
        ]
        assert [each.said.offset for each in again.waiting_from(4, 9)] == [6]
        assert len(again.waiting_from(0, 1)) == 1
        seen = Position("labels", 1, 7)
        assert again.seen([seen, Position("labels", 1, 8)]) == {seen}
    step = other.step(["a"], WAIT_MS)
    step.settle(decision("a"))
    assert {*step.joined["a"].labels} == {Source.ANALYST, Source.CUSTOMER}
    other.write(step)
    assert (other.next_offset, other.waiting, other.conflicting) == (7, 0, 1)
    assert (other.settled(), other.awaited) == (7, set())
    again = reopened(other)
    row = again.step(["a"], WAIT_MS).rows["a"]
    assert row.labels == step.joined["a"].labels
    assert row.waiting == {}
    again.close()


def test_what_a_step_has_not_written_changes_nothing(index: LabelIndex) -> None:
    hear(index, told(0, "a"))
    step = index.step(["a"], WAIT_MS)
    step.settle(decision("a"))
    assert index.waiting == 1
    step = index.step(["a"], WAIT_MS)
    step.settle(decision("a"))
    assert list(step.joined) == ["a"]


def test_what_expires_leaves_nothing_behind(index: LabelIndex) -> None:
    hear(index, told(0, "a"))
    step = index.step(["a"], WAIT_MS)
    step.expire(index.waiting_from(0, 1)[0])
    index.write(step)
    assert (index.waiting, index.settled(), index.awaited) == (0, 1, set())
    assert index._first(b"a", 1) == []


def test_of_many_that_wait_some_are_awaited(
    index: LabelIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes, "MAX_AWAITED", 2)
    hear(index, *(told(number, f"t{number}") for number in range(5)))
    assert len(index.awaited) == 2
    again = reopened(index)
    assert again.awaited == {"t0", "t1"}
    assert again.waiting == 5
    again.close()


def test_two_workers_cannot_share_a_folder(index: LabelIndex) -> None:
    with pytest.raises(FolderInUse, match="FRAUD_DATA_DIR"):
        opened(index.folder)


@pytest.mark.parametrize(
    ("made_of", "kept"),
    [
        (MADE_OF, True),
        ((LogIdentity("app", "labels", 0), LogIdentity("app", "labelled", 0)), True),
        ((LogIdentity("app", "labels", 0, "new"), MADE_OF[1]), False),
        ((MADE_OF[0], LogIdentity("app", "labelled", 0, "new")), False),
        ((LogIdentity("app", "labels", 1, "one"), MADE_OF[1]), False),
        (MADE_OF[:1], False),
    ],
)
def test_what_is_made_of_other_topics_is_made_anew(
    index: LabelIndex, made_of: tuple[LogIdentity, ...], kept: bool
) -> None:
    hear(index, told(0, "a"))
    index.close()
    with closing(opened(index.folder, made_of)) as other:
        assert other.next_offset == (1 if kept else 0)
        assert other.awaited == ({"a"} if kept else set())


@pytest.mark.parametrize("key", [b"\x00totals", b"\x00identities", b"\x01" + bytes(8)])
def test_what_is_damaged_is_made_anew(index: LabelIndex, key: bytes) -> None:
    hear(index, told(0, "a"))
    index._db[key] = b"\xc1"
    with closing(reopened(index)) as other:
        assert (other.next_offset, other.awaited) == (0, set())
        hear(other, told(0, "a"))
        assert other.next_offset == 1


def test_damage_that_shows_later_is_told_of(index: LabelIndex) -> None:
    hear(index, told(0, "a"))
    index._db[b"a"] = b"\xc1"
    with pytest.raises(DatabaseDamaged, match="cannot be used"):
        index.step(["a"], WAIT_MS)
    index.clear()
    assert (index.next_offset, index.awaited) == (0, set())
    hear(index, told(0, "a"))
    del index._db[b"\x01" + bytes(8)]
    with pytest.raises(DatabaseDamaged, match="labels at \\[0\\] are missing"):
        index.step(["a"], WAIT_MS)
    index.clear()
    index._db.close()
    with pytest.raises(DatabaseDamaged):
        index.settled()
    index.clear()
    assert index.settled() == 0


_KILLED = """
import os, signal, sys
from pathlib import Path
from fraudapp.process.disk import DiskFull
from tests.unit.fraudapp.labels.test_index import hear, opened, told

index = opened(Path(sys.argv[1]))
for batch in range(60):
    new = [told(batch * 200 + place, f"{batch}-{place}") for place in range(200)]
    decided = [each.label.transaction_id for each in new[::2]]
    while index.next_offset < (batch + 1) * 200:
        try:
            hear(index, *new, decided=decided)
        except DiskFull as exc:  # the disk is slower than this loop, and the write is refused whole
            assert exc.heals
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_an_index_is_that_of_an_earlier_next_offset(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "p")], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(opened(tmp_path / "p")) as index:
        batches, rest = divmod(index.next_offset, 200)
        assert rest == 0
        assert index.waiting == batches * 100
        waiting = index.waiting_from(0, 12_001)
        assert [each.said.offset for each in waiting] == [*range(1, index.next_offset, 2)]
        ids = [f"{batch}-{place}" for batch in range(60) for place in range(200)]
        rows = index.step(ids, WAIT_MS).rows
        assert [id_ for id_ in ids if rows[id_].labels] == ids[: index.next_offset : 2]
        assert [id_ for id_ in ids if rows[id_].waiting] == ids[1 : index.next_offset : 2]
