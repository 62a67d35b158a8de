"""Passwords of the embedded servers stay the same unless others could have read them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fraudapp.local.passwords import FILE_NAME, passwords

SERVERS = ["postgres", "redis"]


def test_passwords_are_long_differ_and_are_the_same_the_next_time(tmp_path: Path) -> None:
    first = passwords(tmp_path, SERVERS)
    assert set(first) == set(SERVERS)
    assert min(map(len, first.values())) >= 32
    assert len(set(first.values())) == 2
    assert passwords(tmp_path, SERVERS) == first
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '"x"',
        "null",
        "{}",
        '{"postgres": "a"}',
        '{"postgres": 1, "redis": 2}',
        "\xff",
    ],
)
def test_a_damaged_file_of_passwords_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content, encoding="latin-1")
    (tmp_path / FILE_NAME).chmod(0o600)
    assert set(passwords(tmp_path, SERVERS)) == set(SERVERS)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_passwords_that_others_could_read_are_replaced(tmp_path: Path, mode: int) -> None:
    first = passwords(tmp_path, SERVERS)
    (tmp_path / FILE_NAME).chmod(mode)
    assert not set(passwords(tmp_path, SERVERS).values()) & set(first.values())
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_passwords_that_somebody_else_has_set_are_replaced(tmp_path: Path) -> None:
    theirs = dict.fromkeys(SERVERS, "x" * 32)
    (tmp_path / FILE_NAME).write_text(json.dumps(theirs))
    (tmp_path / FILE_NAME).chmod(0o600)
    os.chown(tmp_path / FILE_NAME, 65534, 65534)
    assert passwords(tmp_path, SERVERS) != theirs
