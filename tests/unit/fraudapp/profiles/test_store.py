"""Profiles on disk are those of the offsets beside them, whatever happens to the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.labels.changes import Counted
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.process.disk import DiskFull
from fraudapp.process.rocks import FolderInUse
from fraudapp.profiles.store import SIDES, KeptLabel, ProfileStore, State
from tests.support.damage import WAYS, damage
from tests.support.small_disk import SmallDisk
from tests.unit.fraudapp.profiles.shop import MADE_OF, folded, opened, paid, shop

VERSION = shop().profile_version
PROFILES = {b"\x01a": b"one", b"\x01b": b"two", b"\x02a": b"three"}
STATE = State(VERSION, {0: 7}, {0: 2, 1: 3})


def test_what_is_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "p")) as store:
        assert store.state.is_empty
        store.write(PROFILES, {"t1": KeptLabel(Counted(5, 1), 99)}, STATE)
    with closing(opened(tmp_path / "p")) as store:
        assert store.state == STATE
        assert not store.state.is_empty
        assert store.get([b"\x01b", b"\x01c"]) == [b"two", None]
        assert store.counted(["t0", "t1"]) == {"t1": Counted(5, 1)}
        keys = [each.key for each in store.entries(SIDES, 10)]
        assert keys == [*PROFILES, b"\xfft1"]
        assert [each.side for each in store.entries(SIDES, 10)] == [0, 0, 1, None]
        assert store.entries(b"\xff", 1)[0].second == 99
        store.tidy([b"\x01a", b"\xfft1"], {b"\x02a": b"other"})
        assert store.get([b"\x02a"]) == [b"other"]
        assert [each.key for each in store.entries(SIDES, 10)] == [b"\x01b", b"\x02a"]
        store.reopen()
        assert store.get([b"\x01b"]) == [b"two"]


@pytest.mark.parametrize(
    ("version", "made_of"),
    [
        ("another", MADE_OF),
        (VERSION, [MADE_OF[0], LogIdentity("app", "app-labelled", -1, "a third id")]),
        (VERSION, [LogIdentity("other", "decisions", -1, "one id"), MADE_OF[1]]),
        (VERSION, MADE_OF[:1]),
    ],
    ids=["version", "labels", "application", "topics"],
)
def test_profiles_of_other_topics_or_values_are_made_anew(
    tmp_path: Path, version: str, made_of: list[LogIdentity]
) -> None:
    with closing(opened(tmp_path / "p")) as store:
        store.write(PROFILES, {}, STATE)
    with closing(ProfileStore(tmp_path / "p", version, made_of)) as store:
        assert store.state.is_empty
        assert store.get([b"\x01b"]) == [None]


def test_two_workers_cannot_share_a_folder(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "p")), pytest.raises(FolderInUse, match="FRAUD_DATA_DIR"):
        opened(tmp_path / "p")


_KILLED = """
import os, signal, sys
from pathlib import Path
from fraudapp.process.disk import DiskFull
from tests.unit.fraudapp.profiles.shop import folded, paid

profiles = folded(Path(sys.argv[1]))
for batch in range(60):
    made = [paid(f"{batch}-{n}", f"C{batch}-{n}-{'x' * 60}", f"T{n}") for n in range(500)]
    profiles.apply(0, made, 500 * (batch + 1))
    while profiles.store.state.decisions != profiles.decisions:
        try:
            profiles.write()
        except DiskFull as exc:  # the disk is slower than this loop, and the write is refused whole
            assert exc.heals
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_crash_profiles_are_those_of_an_earlier_offset(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "p")], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(opened(tmp_path / "p")) as store:
        at = store.state.decisions[0]
        assert at > 0
        assert at % 500 == 0
        senders = [each for each in store.entries(SIDES, 100_000) if each.side == 0]
        assert len(senders) == at
    profiles = folded(tmp_path / "p")
    batches = at // 500
    known, _ = profiles.read(
        [paid("?", "?", "T7").transaction], int(paid("?").decided_at.timestamp())
    )
    assert known.known[0]["taken"] == batches
    profiles.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["*.sst", "MANIFEST-*", "CURRENT", "LOCK"])
def test_damaged_files_are_told_or_profiles_are_made_anew(
    tmp_path: Path, kind: str, way: str
) -> None:
    folder = tmp_path / "p"
    with closing(opened(folder)) as store:
        store.write(PROFILES, {"t1": KeptLabel(Counted(5, 1), 99)}, STATE)
    damage(folder, kind, way)
    store = opened(folder)
    try:
        found = store.get(list(PROFILES))
        whole = [*PROFILES.values()] if store.state == STATE else [None] * len(PROFILES)
        assert store.state == STATE or store.state.is_empty
        assert found == whole
    except DatabaseDamaged:
        store.clear()
    store.write(PROFILES, {}, STATE)
    assert store.get(list(PROFILES)) == [*PROFILES.values()]
    store.close()


def test_what_is_no_profile_is_damage(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    profiles.store.write({b"\x01C1": b"nothing"}, {}, State(VERSION, {0: 1}, {}))
    with pytest.raises(DatabaseDamaged):
        profiles.apply(0, [paid("t1")], 2)
    profiles.clear()
    profiles.apply(0, [paid("t1")], 2)
    profiles.close()


@pytest.mark.slow
def test_a_full_disk_leaves_profiles_as_they_are(small_disk: SmallDisk) -> None:
    profiles = folded(small_disk.folder / "p")
    profiles.apply(0, [paid("t1")], 1)
    profiles.write()
    small_disk.fill()
    while profiles.store.state.decisions == profiles.decisions:
        at = profiles.decisions[0]
        made = [paid(f"{at}-{n}", f"C{at}-{n}-{'x' * 100}") for n in range(500)]
        profiles.apply(0, made, at + 500)
        with suppress(DiskFull):
            profiles.write()
    small_disk.make_room()
    state = profiles.store.state
    assert state.decisions[0] < profiles.decisions[0]
    profiles.reopen()  # what was not on disk yet is read again
    at = profiles.decisions.get(0, 0)
    assert at <= state.decisions[0]
    profiles.apply(0, [paid("t2", "C-new")], at + 1)
    profiles.write()
    assert profiles.store.state.decisions == profiles.decisions
    profiles.close()
