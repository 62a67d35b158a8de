"""Keys in a file are those that it holds now, or last held."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fraudapp.key_file import KeyFile
from fraudapp.keys import parse

OLD, NEW = "an-old-secret-of-a-key", "a-new-secret-of-a-key!"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"a:read:{OLD}\n")
    return path


@pytest.fixture
def file(path: Path) -> KeyFile:
    return KeyFile(path, parse(f"a:read:{OLD}"))


def test_a_file_that_was_written_to_or_replaced_is_read_again(path: Path, file: KeyFile) -> None:
    assert file.keys().find(OLD)
    path.write_text(f"a:read:{NEW}\n")  # of the same length
    assert file.keys().find(NEW)
    assert not file.keys().find(OLD)
    other = path.with_name("other")
    other.write_text(f"a:read:{OLD}\n")
    other.replace(path)
    assert file.keys().find(OLD)
    # As Kubernetes does it: a link to a folder is turned over.
    for number, secret in enumerate((NEW, OLD)):
        folder = path.with_name(str(number))
        folder.mkdir()
        (folder / "keys").write_text(f"b:read:{secret}")
    link = path.with_name("link")
    link.symlink_to("0")
    mounted = KeyFile(link / "keys", parse(""))
    assert mounted.keys().find(NEW)
    turned = path.with_name("turned")
    turned.symlink_to("1")
    turned.replace(link)
    assert mounted.keys().find(OLD)


@pytest.mark.parametrize("content", ["", "\n", "a:read:short", "a:everything:" + NEW, None])
def test_what_is_wrong_is_said_once_and_the_last_keys_stay(
    path: Path, file: KeyFile, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert file.keys()
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert file.keys().find(OLD)
    assert len(caplog.records) == 1
    assert NEW not in caplog.text
    path.write_text(f"b:read+write:{NEW}")
    assert file.keys().names == ["b"]
