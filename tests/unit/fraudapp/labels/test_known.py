"""What is known of labels is a function of the labelled topic."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.labels.changes import Counted
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.labels.known import KnownStore
from models.schema.schema import PAYSIM
from tests.support.labels import read_to
from tests.unit.fraudapp.labels.test_changes import record

MADE_OF = LogIdentity("app", "app-labelled", -1, "id")


def opened(folder: Path, made_of: LogIdentity = MADE_OF) -> KnownStore:
    return KnownStore(folder, PAYSIM, made_of)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KnownStore]:
    with closing(opened(tmp_path / "labelled")) as store:
        yield store


def test_the_newest_of_each_id_is_known(store: KnownStore) -> None:
    records = [record("a", 3, 1), record("b", 0, 0), record("a", 7, 0), record("a", 5, 1)]
    store.apply(records, {0: read_to(3), 2: read_to(1)})
    assert store.get("a") == records[2].labelled
    assert store.get("b") == records[1].labelled
    assert store.get("c") is None
    assert store.counted(["c", "a", "b"]) == {"a": Counted(7, 0), "b": Counted(0, 0)}
    store.apply([record("a", 6, 1)], {0: read_to(4)})
    assert store.get("a") == records[2].labelled
    assert [store.next_offset(each) for each in range(3)] == [4, 0, 1]
    store.close()
    with closing(opened(store.folder)) as again:
        assert again.get("a") == records[2].labelled
        assert [again.next_offset(each) for each in range(3)] == [4, 0, 1]


def test_what_is_damaged_or_of_another_topic_is_read_anew(store: KnownStore) -> None:
    store.apply([record("a", 3, 1)], {0: read_to(3)})
    store._db[b"a"] = b"nothing"
    with pytest.raises(DatabaseDamaged):
        store.get("a")
    store.clear()
    assert (store.get("a"), store.next_offset(0)) == (None, 0)
    store.apply([record("a", 3, 1)], {0: read_to(3)})
    store.close()
    with closing(opened(store.folder, LogIdentity("app", "app-labelled", -1, "other"))) as other:
        assert (other.get("a"), other.next_offset(0)) == (None, 0)


_KILLED = """
import os, signal, sys
from pathlib import Path
from fraudapp.process.disk import DiskFull
from tests.unit.fraudapp.labels.test_changes import record
from tests.support.labels import read_to
from tests.unit.fraudapp.labels.test_known import opened

store = opened(Path(sys.argv[1]))
for batch in range(60):
    records = [record(f"{batch}-{place}", place, 1) for place in range(100)]
    while store.next_offset(0) < (batch + 1) * 100:
        try:
            store.apply(records, {0: read_to((batch + 1) * 100)})
        except DiskFull as exc:  # the disk is slower than this loop, and the write is refused whole
            assert exc.heals
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_all_before_the_next_offset_is_known(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "p")], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(opened(tmp_path / "p")) as store:
        ids = [f"{batch}-{place}" for batch in range(60) for place in range(100)]
        assert list(store.counted(ids)) == ids[: store.next_offset(0)]
