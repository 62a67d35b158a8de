"""Files of a folder archive can be read by their owner only."""

from __future__ import annotations

import os
from pathlib import Path

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.archive.folder import FolderArchive
from tests.support.decisions import decision


async def test_files_and_folders_are_for_their_owner_only_whatever_the_umask(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        archive = FolderArchive(tmp_path / "archive")
        await archive.open()
        await archive.save(Batch([decision("t1", partition=0, offset=1)]))
        await archive.write("reports/day.json", b"{}", "application/json")
    finally:
        os.umask(before)
    made = list(tmp_path.rglob("*"))
    assert len([each for each in made if each.is_file()]) == 2
    for each in made:
        assert each.stat().st_mode & 0o777 == (0o700 if each.is_dir() else 0o600), each
