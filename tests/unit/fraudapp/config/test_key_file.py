"""A file of keys gives those that it holds now, or the last good ones."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from fraudapp import metrics
from fraudapp.config import key_file
from fraudapp.config.api_keys import Keys, parse
from fraudapp.config.key_file import KeyFile

OLD, NEW = "an-old-secret-of-a-key", "a-new-secret-of-a-key!"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"a:read:{OLD}\n")
    return path


@pytest.fixture
def file(path: Path) -> KeyFile:
    return KeyFile(path, parse(f"a:read:{OLD}"))


def looked(file: KeyFile) -> Keys:
    file.look()
    return file.keys


def refused() -> float | None:
    return metrics.registry.get_sample_value("fraud_api_keys_refused")


def test_a_file_that_was_written_to_or_replaced_is_read_again(path: Path, file: KeyFile) -> None:
    assert looked(file).find(OLD)
    path.write_text(f"a:read:{NEW}\n")  # of the same length
    assert looked(file).find(NEW)
    assert not looked(file).find(OLD)
    other = path.with_name("other")
    other.write_text(f"a:read:{OLD}\n")
    other.replace(path)
    assert looked(file).find(OLD)
    # Kubernetes updates a mounted secret by pointing a symbolic link at another folder.
    for number, secret in enumerate((NEW, OLD)):
        folder = path.with_name(str(number))
        folder.mkdir()
        (folder / "keys").write_text(f"b:read:{secret}")
    link = path.with_name("link")
    link.symlink_to("0")
    mounted = KeyFile(link / "keys", parse(""))
    assert looked(mounted).find(NEW)
    turned = path.with_name("turned")
    turned.symlink_to("1")
    turned.replace(link)
    assert looked(mounted).find(OLD)


@pytest.mark.parametrize("content", ["", "\n", "a:read:short", "a:everything:" + NEW, None])
def test_a_wrong_file_is_logged_once_and_the_last_keys_stay(
    path: Path, file: KeyFile, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert looked(file)
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert looked(file).find(OLD)
    (record,) = caplog.records
    assert (record.levelno, refused()) == (logging.ERROR, 1)
    assert "the previous ones stay valid" in caplog.text
    assert NEW not in caplog.text
    path.write_text(f"b:read+write:{NEW}")
    assert looked(file).names == ["b"]
    assert refused() == 0


def test_a_key_is_taken_away_by_emptying_or_commenting_its_line(path: Path, file: KeyFile) -> None:
    for rest in (f"\n\nb:read:{NEW}\n", f"#a:read:{OLD}\nb:read:{NEW}", f",b:read:{NEW}"):
        path.write_text(f"a:read:{OLD}\n")
        assert looked(file).find(OLD)
        path.write_text(rest)
        assert looked(file).names == ["b"]


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_without_waiting(
    path: Path, file: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    os.mkfifo(path)
    assert looked(file).find(OLD)
    assert "no regular file" in caplog.text


def test_a_watched_file_is_read_without_requests(
    path: Path, file: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_file, "POLL_INTERVAL", 0.01)
    file.watch()
    path.write_text(f"b:read:{NEW}")
    while not file.keys.find(NEW):
        time.sleep(0.01)
