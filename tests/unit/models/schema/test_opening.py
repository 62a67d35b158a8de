"""Whatever the name of a schema stands for, it is a schema's file or refused at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from fraudapp.commands import schema as commands
from models.schema import presets
from models.schema.opening import content_of
from models.schema.reading import MAX_BYTES, SchemaError
from models.schema.schema import named


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card", "card: there is no such file; presets are cards, pacs008, paysim"),
        ("x" * 5_000, "xxx…: there is no such file; presets are"),
        ("a\0b", r"a\x00b: there is no such file; presets are"),
        ("a\ud800b", r"a\ud800b: there is no such file"),
        ("", ".: cannot be read: Is a directory"),
        ("{folder}", "cannot be read: Is a directory"),
        ("{folder}/own.toml/x", "there is no such file"),
        ("{folder}/loop", "cannot be read: Too many levels of symbolic links"),
        ("{folder}/pipe", "is a pipe or a device"),
        ("/dev/zero", "/dev/zero: is a pipe or a device: name a file"),
        ("{folder}/large.toml", "is larger than 1,048,576 bytes"),
        ("{folder}/own.toml", "is not UTF-8"),
    ],
)
def test_what_is_no_schema_is_refused_with_a_sentence(
    name: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.toml").open("wb") as file:
        file.truncate(1 << 40)  # of no blocks
    given = name.format(folder=tmp_path)
    with pytest.raises(SchemaError) as caught:
        named(given)
    assert words in str(caught.value)
    for command in ("show", "check"):
        done = CliRunner().invoke(commands.command, [command, given])
        assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.exception
        assert words in done.output
        assert len(done.output) < 600


def test_a_file_is_read_through_a_link_and_never_far_beyond_its_limit(tmp_path: Path) -> None:
    path, link = tmp_path / "own.toml", tmp_path / "link.toml"
    path.write_bytes(presets.content("cards"))
    link.symlink_to(path)
    assert content_of(link) == presets.content("cards")
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert len(content_of(path)) == MAX_BYTES + 1
