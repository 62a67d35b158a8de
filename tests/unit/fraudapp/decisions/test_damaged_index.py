"""However an index on disk is damaged, it never says anything that the log does not hold."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from fraudapp.decisions.batch import encode
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_records import LogRecord
from fraudapp.process.disk import DiskUnusable, in_use
from fraudapp.process.rocks import FolderInUse
from models.records import Decision
from tests.support.damage import FILES, WAYS, damage
from tests.support.decisions import decision

LOG = [
    LogRecord(offset, each, encode(each))
    for offset, each in enumerate(decision(f"t{number}") for number in range(600))
]
DECIDED = {each.decision.transaction_id: each.decision for each in LOG}
NOBODY = 65534


def on_disk(folder: Path) -> DecisionIndex:
    """Return an index of `LOG` that has several files on disk."""
    index = DecisionIndex(folder)
    for start in range(0, len(LOG), 200):
        index.apply(LOG[start : start + 200], start + 200)
        index._db.flush()
    return index


def all_of(index: DecisionIndex) -> dict[str, Decision]:
    """Apply the rest of the log, and return all decisions that the index has then."""
    assert index.find(list(DECIDED)).keys() == set(list(DECIDED)[: index.next_offset])
    index.apply(LOG[index.next_offset :], len(LOG))
    assert sum(index.counts.values()) == len(LOG)
    assert len(index.first(LOG)) == len(LOG)
    return index.find(list(DECIDED))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of an index's files, without RocksDB's own log of attempts to open it."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[:3] != "LOG"}


@contextmanager
def opened_elsewhere(folder: Path) -> Iterator[None]:
    """Let another process have the index open."""
    code = (
        "import sys; from pathlib import Path; from fraudapp.decisions.index import DecisionIndex;"
        "held = DecisionIndex(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield
        process.communicate()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
def test_an_index_with_a_damaged_file_has_an_earlier_next_offset_or_raises(
    tmp_path: Path, kind: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "block-7"  # a word with a lock in it
    on_disk(folder).close()
    damage(folder, kind, way)
    index = DecisionIndex(folder)
    try:
        assert all_of(index) == DECIDED
    except IndexDamaged:
        index.clear()
        assert all_of(index) == DECIDED
    index.close()
    assert "in use" not in caplog.text
    with closing(DecisionIndex(folder)) as index:
        assert (index.next_offset, index.made_anew) == (len(LOG), False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_damaged_below_an_open_index_makes_it_tell_the_truth_or_raise(
    tmp_path: Path, kind: str, way: str
) -> None:
    folder = tmp_path / "p"
    index = on_disk(folder)
    damage(folder, kind, way)
    try:
        assert index.find(list(DECIDED)) == DECIDED
        assert len(index.first(LOG)) == len(LOG)
        index.apply([], len(LOG) + 1)
        index.flush_if_idle()
    except IndexDamaged:
        pass
    index.clear()
    assert index.next_offset == 0
    assert all_of(index) == DECIDED
    index.close()


@pytest.mark.parametrize("key", [b"\x00cursor", b"\x00counts", b"\x00activity"])
@pytest.mark.parametrize("value", [None, b"", b"junk", b"-1", b"\xff\xfe", b"[]", b"99999999999"])
def test_an_index_with_a_garbled_value_begins_anew(
    tmp_path: Path, key: bytes, value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    on_disk(tmp_path / "p").close()
    with closing(Rdict(str(tmp_path / "p"), Options(raw_mode=True))) as files:
        files.delete(key) if value is None else files.put(key, value)
    with closing(DecisionIndex(tmp_path / "p")) as index:
        if (key, value) != (b"\x00cursor", b"99999999999"):  # which only the end of the log reveals
            assert (index.next_offset, index.counts, index.made_anew) == (0, {}, True)
            assert f"{tmp_path / 'p'} is damaged" in caplog.text


@pytest.mark.parametrize("value", [b"", b"\x00" * 7, b"\x00" * 8, b"\x00" * 8 + b"{}", b"junk"])
def test_a_decision_that_does_not_decode_is_damage(tmp_path: Path, value: bytes) -> None:
    on_disk(tmp_path / "p").close()
    with closing(Rdict(str(tmp_path / "p"), Options(raw_mode=True))) as files:
        files.put(b"t3", value)
    with closing(DecisionIndex(tmp_path / "p")) as index, pytest.raises(IndexDamaged):
        index.find(["t3"])


def _a_file(path: Path) -> None:
    path.write_bytes(b"not a folder")


def _a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def _folders_in_it(path: Path) -> None:
    (path / "CURRENT" / "deeper").mkdir(parents=True)


@pytest.mark.parametrize("put", [_a_file, _a_link_to_nothing, _folders_in_it])
def test_a_path_that_is_no_index_is_replaced(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "p")
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert all_of(index) == DECIDED


def test_a_folder_that_is_on_another_disk_stays_there(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "p").symlink_to(tmp_path / "other")
    on_disk(tmp_path / "p").close()
    damage(tmp_path / "p", "MANIFEST-*", "garbled")
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert all_of(index) == DECIDED
    assert (tmp_path / "p").is_symlink()
    assert (tmp_path / "other" / "CURRENT").exists()


@pytest.mark.parametrize("also_damaged", [False, True])
def test_an_index_that_another_process_has_open_is_in_use_and_unchanged(
    tmp_path: Path, also_damaged: bool
) -> None:
    folder = tmp_path / "p"
    on_disk(folder).close()
    with opened_elsewhere(folder):
        if also_damaged:
            damage(folder, "CURRENT", "garbled")
        before = contents(folder)
        with pytest.raises(FolderInUse, match="FRAUD_DATA_DIR"):
            DecisionIndex(folder)
        assert contents(folder) == before
        assert in_use(folder)
    assert not in_use(folder)


def test_asking_whether_it_is_in_use_does_not_let_go_of_it(tmp_path: Path) -> None:
    with closing(on_disk(tmp_path / "p")):
        for _ in range(2):
            assert in_use(tmp_path / "p")


_OPENED = """
import sys
from pathlib import Path
from fraudapp.process.disk import DiskUnusable
from fraudapp.decisions.index import DecisionIndex
try:
    print(DecisionIndex(Path(sys.argv[1])).made_anew)
except DiskUnusable as exc:
    print(exc)
"""


def opened_by_a_user(folder: Path) -> str:
    """Open an index without the rights of root; return `made_anew`, or the error text."""
    command = [sys.executable, "-c", _OPENED, str(folder)]
    if os.getuid() == 0:
        lost = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}", *command]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("mode", [0o000, 0o500])
@pytest.mark.parametrize("path", [".", "LOCK", "CURRENT"])
def test_permissions_of_our_own_files_are_repaired(tmp_path: Path, path: str, mode: int) -> None:
    on_disk(tmp_path / "p").close()
    (tmp_path / "p" / path).chmod(mode)
    assert opened_by_a_user(tmp_path / "p") in ("True", "False")
    with closing(DecisionIndex(tmp_path / "p")) as index:
        assert all_of(index) == DECIDED


@pytest.mark.skipif(os.getuid() != 0, reason="needs files of somebody else")
def test_files_of_another_user_are_reported_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    on_disk(folder).close()
    for each in (folder, *folder.iterdir()):
        os.chown(each, NOBODY, NOBODY)
    (folder / "LOCK").chmod(0o600)
    assert "LOCK belongs to somebody else" in opened_by_a_user(folder)
    (folder / "LOCK").chmod(0o644)
    assert "cannot be removed" in opened_by_a_user(folder)
    with closing(DecisionIndex(folder)) as index:
        assert all_of(index) == DECIDED


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    index = DecisionIndex(tmp_path / "p")
    (tmp_path / "p").rename(tmp_path / "gone")
    (tmp_path / "p").symlink_to("/proc")  # where nothing can be made or removed
    with pytest.raises(DiskUnusable, match="FRAUD_DATA_DIR"):
        index.clear()
