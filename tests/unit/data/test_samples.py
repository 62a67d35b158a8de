"""Each preset has a sample of its own, which is made once, whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import data
from data import samples
from models.files.rows import Row, rows
from models.schema import presets
from models.schema.fields import required
from models.schema.schema import preset


@pytest.mark.parametrize("name", presets.names())
def test_each_preset_has_a_labelled_sample_of_valid_transactions(name: str, tmp_path: Path) -> None:
    schema, path = preset(name), data.sample(name, tmp_path)
    assert path is not None
    needed = [each for each in required(schema.definition) if each != "transaction_id"]
    label = schema.definition.role("label")
    frauds = count = 0
    for row in rows(path, needed, schema):
        assert isinstance(row, Row)
        count += 1
        if count <= 2_000:
            schema.parser.from_mapping({"transaction_id": "t", **row.fields})
        frauds += bool(row.fields[label or ""])
    assert count > 20_000
    assert 0.001 < frauds / count < 0.02


def test_another_schema_has_none(tmp_path: Path) -> None:
    for name in ("mybank", "", "../cards", "Cards"):
        assert data.sample(name, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path) -> int:
        return path.write_text("{}\n")

    monkeypatch.setitem(samples._WRITERS, "cards", write)


def test_a_sample_is_for_its_owner_and_is_kept(quick: None, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = data.sample("cards", tmp_path / "a" / "samples")
    finally:
        os.umask(before)
    assert path is not None
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("kept")
    assert data.sample("cards", tmp_path / "a" / "samples") == path
    assert path.read_text() == "kept"


def test_a_sample_that_cannot_be_written_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path) -> Any:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(samples._WRITERS, "cards", write)
    with pytest.raises(OSError, match="No space left"):
        data.sample("cards", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_generators_are_imported_only_to_make_a_sample() -> None:
    code = (
        "import sys, data, fraudapp.first_model\n"
        "print([m for m in sys.modules if m.startswith(('data.cards', 'data.pacs008', 'pandas'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
