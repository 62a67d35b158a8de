"""A copy of profiles that are being written is one of an earlier offset, and whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fraudapp.process.disk import DiskFull
from fraudapp.profiles.snapshot_files import PIECE_BYTES, FilesDiffer, adopt, copy, pieces, read
from fraudapp.profiles.store import SIDES, STATE, ProfileStore, State, decode_state
from tests.unit.fraudapp.profiles.shop import MADE_OF, opened, shop

VERSION = shop().profile_version
SIZE = 400


def write(store: ProfileStore, number: int) -> None:
    """Write so many profiles again and again, each time with the number of the time."""
    content = {
        b"\x01%d" % place: number.to_bytes(8, "little") + bytes(900) for place in range(SIZE)
    }
    with suppress(DiskFull):  # refused whole, as too much comes too fast
        store.write(content, {}, State(VERSION, {0: number}, {}))


def test_a_copy_is_of_one_offset_while_the_profiles_are_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "p")
    done = threading.Event()
    copies: list[tuple[Path, list[Path]]] = []

    def copying() -> None:
        for number in range(8):
            target = store.folder / f"copy-{number}"
            with suppress(FilesDiffer):  # it did not rest
                copies.append((target, copy(store.folder, target)))
        done.set()

    write(store, 1)
    store._db.flush()
    thread = threading.Thread(target=copying)
    thread.start()
    number = 1
    while not done.is_set():
        number += 1
        write(store, number)
    thread.join()
    store.close()
    assert copies
    for target, files in copies:
        assert {*files} == {*target.iterdir()}
        content = read(target, STATE)
        assert content is not None
        at = decode_state(content).decisions[0]
        again = opened(tmp_path / f"of-{target.name}")
        again.replace(target.rename(again.folder / "incoming"))
        assert again.state.decisions == {0: at}
        found = again.entries(SIDES, SIZE + 1)
        assert len(found) == SIZE
        assert {int.from_bytes(each.value[:8], "little") for each in found} == {at}
        again.close()


def test_files_are_copied_where_they_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(tmp_path / "p")) as store:
        write(store, 3)
        store._db.flush()

        def refused(*_: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr("os.link", refused)
        copy(store.folder, tmp_path / "copy")
    content = read(tmp_path / "copy", STATE)
    assert content is not None
    assert decode_state(content).decisions == {0: 3}


def _without_data(folder: Path) -> None:
    next(folder.glob("*.sst")).unlink()


def _without_manifest(folder: Path) -> None:
    next(folder.glob("MANIFEST-*")).unlink()


def _with_other_data(folder: Path) -> None:
    next(folder.glob("*.sst")).write_bytes(b"nothing")


@pytest.mark.parametrize("harm", [_without_data, _without_manifest, _with_other_data])
def test_what_is_no_database_is_told(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    with closing(opened(tmp_path / "p")) as store:
        write(store, 3)
    harm(tmp_path / "p")
    with pytest.raises(FilesDiffer):
        read(tmp_path / "p", STATE)


def test_after_a_crash_in_an_exchange_of_files_the_profiles_are_new(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "p")) as store:
        write(store, 3)
        store._db.flush()
        copy(store.folder, store.folder / "incoming")
    (tmp_path / "p" / "incoming" / "CURRENT").unlink()  # it comes last
    adopt(tmp_path / "p", tmp_path / "p" / "incoming")
    with closing(ProfileStore(tmp_path / "p", VERSION, MADE_OF)) as store:
        assert store.state.is_empty


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_pieces_are_the_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    found = [*pieces(tmp_path / "f")]
    assert b"".join(found) == b"x" * size
    assert all(0 < len(each) <= PIECE_BYTES for each in found)
