"""Private files and folders are closed to others from the first moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fraudapp.process.private_files import make_private, write_private


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Any:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("before", [None, 0o777, 0o755, 0o711, 0o750, 0o700])
def test_a_folder_is_for_its_owner_whatever_it_was(
    umask: None, tmp_path: Path, before: int | None
) -> None:
    folder = tmp_path / "a" / "b"
    if before is not None:
        folder.mkdir(parents=True)
        folder.chmod(before)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o2775, 0o755])
def test_a_data_folder_is_closed_and_keeps_its_group(tmp_path: Path, mode: int) -> None:
    for name in ("models", "samples", "ledger", "faust", "local", "local.json", "passwords.json"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data").chmod(mode)
    make_private(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o7777 == mode & 0o7700


@pytest.mark.parametrize(("mode", "content"), [(0o1777, ""), (0o1777, "x"), (0o755, "README.md")])
@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_that_is_for_others_too_is_not_closed(
    tmp_path: Path, mode: int, content: str, linked: bool
) -> None:
    folder = tmp_path / "shared"
    (folder / content).mkdir(parents=True)
    folder.chmod(mode)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(PermissionError, match=f"{folder} is open to other users"):
        make_private(tmp_path / "link" if linked else folder)
    assert folder.stat().st_mode & 0o7777 == mode
    folder.chmod(0o700)
    make_private(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    folder.chmod(0o770)
    os.chown(folder, 65534, 65534)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o770


def test_a_file_is_replaced_as_a_whole_and_never_open_to_others(
    umask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.touch(0o644)
    path.chmod(0o644)
    seen = []
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_mode & 0o777)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    with path.open() as reader:  # opened by somebody before, and still the old file
        write_private(path, "hunter2")
        assert reader.read() == ""
    assert path.read_text() == "hunter2"
    assert [*seen, path.stat().st_mode & 0o777] == [0o600, 0o600]
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(tmp_path / "secret", "hunter2")
    assert list(tmp_path.iterdir()) == []
