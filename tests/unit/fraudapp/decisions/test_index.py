"""An index is a function of the log: all that have read up to one offset agree."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from fraudapp.decisions.batch import Batch, encode
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.log_records import LogRecord
from fraudapp.process.rocks import FolderInUse
from models.activity import Activity
from models.records import Outcome
from tests.support.decisions import decision


def record(offset: int, id_: str, outcome: Outcome) -> LogRecord:
    each = decision(id_, decision=outcome, offset=offset)
    return LogRecord(offset, each, encode(each))


logs = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(Outcome)), min_size=1, max_size=20
).map(lambda rows: [record(offset, *row) for offset, row in enumerate(rows)])


# Opening databases takes long on a busy machine, so there is no deadline.
@settings(deadline=None)
@given(log=logs, in_bulk=st.booleans(), data=st.data())
def test_the_first_decision_under_an_id_counts_however_the_log_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    log: list[LogRecord],
    in_bulk: bool,
    data: st.DataObject,
) -> None:
    first: dict[str, LogRecord] = {}
    for each in log:
        first.setdefault(each.decision.transaction_id, each)
    folder = tmp_path_factory.mktemp("index") / "partition-0"
    index = DecisionIndex(folder, in_bulk=in_bulk)
    while index.next_offset < len(log):
        end = data.draw(st.integers(index.next_offset + 1, len(log)))
        start = data.draw(st.integers(0, index.next_offset))  # some records are read again
        index.apply(log[start:end], end)
        if data.draw(st.booleans()):
            index.close()
            index = DecisionIndex(folder, in_bulk=data.draw(st.booleans()))
    found = index.find(list("abcdefg"))
    assert found == {id_: each.decision for id_, each in first.items()}
    assert index.counts == Counter(each.decision.decision.value for each in first.values())
    activity = Activity()
    activity.add([each.decision for each in first.values()])
    assert index.activity == activity
    assert index.first(log) == [first[each.decision.transaction_id].decision for each in log]
    index.close()


def test_a_damaged_index_begins_anew(tmp_path: Path) -> None:
    index = DecisionIndex(tmp_path / "p")
    index.apply([record(0, "a", Outcome.BLOCK)], 1)
    index.close()
    for path in (tmp_path / "p").glob("MANIFEST*"):
        path.write_bytes(b"garbage")
    index = DecisionIndex(tmp_path / "p")
    assert (index.next_offset, index.find(["a"])) == (0, {})
    index.apply([record(0, "a", Outcome.BLOCK)], 1)
    index.clear()
    assert (index.next_offset, index.counts, index.find(["a"])) == (0, {}, {})
    index.close()


def test_two_workers_cannot_share_a_folder(tmp_path: Path) -> None:
    index = DecisionIndex(tmp_path / "p")
    with pytest.raises(FolderInUse, match="FRAUD_DATA_DIR"):
        DecisionIndex(tmp_path / "p")
    index.close()


def test_an_index_of_a_version_without_activity_is_read_again(tmp_path: Path) -> None:
    index = DecisionIndex(tmp_path / "p")
    index.apply([record(0, "a", Outcome.BLOCK)], 1)
    index.close()
    with closing(Rdict(str(tmp_path / "p"), Options(raw_mode=True))) as files:
        files.delete(b"\x00activity")
    index = DecisionIndex(tmp_path / "p")
    assert (index.next_offset, index.counts, index.find(["a"])) == (0, {}, {})
    index.close()


@given(sizes=st.lists(st.integers(0, 5), max_size=6))
def test_extending_an_index_is_applying_the_same_records(sizes: list[int]) -> None:
    with TemporaryDirectory() as folder:
        one, other = DecisionIndex(Path(folder) / "one"), DecisionIndex(Path(folder) / "other")
        for number, size in enumerate(sizes):
            made = [decision(f"{number}-{place}") for place in range(size)]
            batch = Batch(made)
            start = one.next_offset
            records = map(LogRecord, range(start, start + size), made, batch.encoded)
            one.apply(records, start + size)
            other.extend(batch)
            assert one.next_offset == other.next_offset
            assert one.counts == other.counts
            assert one.activity == other.activity
            ids = [each.transaction_id for each in made]
            assert one.find(ids) == other.find(ids) == dict(zip(ids, made, strict=True))
            records = map(LogRecord, range(start, start + size), made, batch.encoded)
            assert len(other.first(list(records))) == size
        one.close()
        other.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.batch import Batch
from fraudapp.process.disk import DiskFull
from tests.support.decisions import decision

index = DecisionIndex(Path(sys.argv[1]))
for batch in range(60):
    made = Batch([decision(f"{batch}-{place}") for place in range(400)])
    while index.next_offset < (batch + 1) * 400:
        try:
            index.extend(made)
        except DiskFull as exc:  # the disk is slower than this loop, and the write is refused whole
            assert exc.heals
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_an_index_is_that_of_an_earlier_next_offset(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "p")], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(DecisionIndex(tmp_path / "p")) as index:
        batches, rest = divmod(index.next_offset, 400)
        assert rest == 0
        assert sum(index.counts.values()) == sum(index.activity.scores) == index.next_offset
        ids = [f"{batch}-{place}" for batch in range(60) for place in range(400)]
        assert list(index.find(ids)) == ids[: batches * 400]


_IN_MEMORY = ("rocksdb.num-entries-active-mem-table", "rocksdb.num-entries-imm-mem-tables")

_KILLED_WHEN_IDLE = f"""
import os, signal, sys
from pathlib import Path
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.batch import Batch
from tests.support.decisions import decision

def in_memory():
    return sum(map(index._db.property_int_value, {_IN_MEMORY}))

index = DecisionIndex(Path(sys.argv[1]))
for batch in range(3):
    index.extend(Batch([decision(f"{{batch}}-{{place}}") for place in range(4)]))
    index.flush_if_idle()
    assert in_memory()  # not idle: decisions have just been applied
index.flush_if_idle()
while in_memory():
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_idle_index_loses_nothing_in_a_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED_WHEN_IDLE, str(tmp_path / "p")]
    done = subprocess.run(command, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert index.next_offset == sum(index.counts.values()) == 12


def files(index: DecisionIndex) -> int:
    return int(index._db.property_value("rocksdb.num-files-at-level0") or 0)


def test_what_was_read_in_bulk_is_merged_when_the_worker_wants(tmp_path: Path) -> None:
    with closing(DecisionIndex(tmp_path / "p", in_bulk=True)) as index:
        for offset in range(6):
            index.apply([record(offset, f"t{offset}", Outcome.BLOCK)], offset + 1)
            index._db.flush()
        assert files(index) == 6
    for _ in range(2):  # as it is kept, once more after a start of a worker
        with closing(DecisionIndex(tmp_path / "p", rests=True)) as index:
            assert files(index) == 6
    with closing(DecisionIndex(tmp_path / "p", rests=True)) as index:
        index.merge(at_once=False)
        assert files(index) == 6
        index.merge(at_once=True)
        while files(index) == 6:
            pass
        assert [*index.find([f"t{offset}" for offset in range(6)])] == [f"t{n}" for n in range(6)]
        assert kept_options(tmp_path / "p") >= {
            "write_buffer_size=4194304",
            "level0_file_num_compaction_trigger=4",
            "disable_auto_compactions=false",
        }


def kept_options(folder: Path) -> set[str]:
    """What RocksDB takes at the next start, whoever opens it."""
    newest = max(folder.glob("OPTIONS-*"), key=lambda path: path.name)
    return {line.strip() for line in newest.read_text().splitlines()}


IDENTITY = LogIdentity("app", "decisions", 0, "one id")


@pytest.mark.parametrize(
    "other",
    [
        LogIdentity("another app", "decisions", 0, "one id"),
        LogIdentity("app", "other decisions", 0, "one id"),
        LogIdentity("app", "decisions", 1, "one id"),
        LogIdentity("app", "decisions", 0, "another id"),
    ],
    ids=str,
)
def test_the_copy_of_another_log_is_thrown_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: LogIdentity
) -> None:
    with closing(DecisionIndex(tmp_path / "p", IDENTITY)) as index:
        index.apply([record(0, "a", Outcome.BLOCK)], 1)
    with closing(DecisionIndex(tmp_path / "p", other)) as index:
        assert index.made_anew
        assert (index.next_offset, index.find(["a"]), index.counts) == (0, {}, Counter())
        assert f"is of {IDENTITY}, and the log is {other}" in caplog.text
        index.apply([record(0, "b", Outcome.FLAG)], 1)
    with closing(DecisionIndex(tmp_path / "p", other)) as index:
        assert not index.made_anew
        assert index.find(["b"])


@pytest.mark.parametrize("before", [None, LogIdentity("app", "decisions", 0)], ids=str)
def test_a_copy_of_a_log_that_may_be_the_same_is_kept_and_identified(
    tmp_path: Path, before: LogIdentity | None
) -> None:
    with closing(DecisionIndex(tmp_path / "p", before)) as index:
        index.apply([record(0, "a", Outcome.BLOCK)], 1)
    with closing(DecisionIndex(tmp_path / "p", IDENTITY)) as index:
        assert index.find(["a"])
        index.apply([record(1, "b", Outcome.BLOCK)], 2)
    with closing(
        DecisionIndex(tmp_path / "p", LogIdentity("app", "decisions", 0, "another id"))
    ) as left:
        assert not left.find(["a"])
