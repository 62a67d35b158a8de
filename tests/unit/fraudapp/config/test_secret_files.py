"""A secret file gives its text, or a problem that repeats nothing of its content."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fraudapp.config.secret_files import MAX_BYTES, filled_in, read

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"))
line_ends = st.lists(st.sampled_from(["\n", "\r\n"]), max_size=3).map("".join)


def outcome(path: Path) -> tuple[str, str]:
    """Return the text of a file and no problem, or the reverse."""
    try:
        return read(path), ""
    except ValueError as exc:
        return "", str(exc)


@given(text=texts, end=line_ends)
@example(text="two\nlines", end="\r\n")
def test_a_text_is_read_without_the_line_ends_at_its_end(
    tmp_path_factory: pytest.TempPathFactory, text: str, end: str
) -> None:
    assume(text.strip() and not text.endswith("\n"))
    path = tmp_path_factory.getbasetemp() / "secret"
    for written in (text, text.replace("\n", "\r\n")):
        path.write_bytes((written + end).encode())
        assert read(path) == text


@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_text_or_a_problem_that_does_not_repeat_them(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "secret"
    path.write_bytes(data)
    text, problem = outcome(path)
    assert text.encode() in data.replace(b"\r\n", b"\n")
    assert bool(text.strip()) != bool(problem)
    assert problem in ("", "the file is no text in UTF-8", "the file is empty")


def test_a_file_of_blanks_alone_is_empty(tmp_path: Path) -> None:
    for blanks in (b"", b" \t\r\n", b"\n\n"):
        (tmp_path / "secret").write_bytes(blanks)
        assert outcome(tmp_path / "secret") == ("", "the file is empty")


def test_the_largest_file_is_read_whole_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x" * MAX_BYTES)
    assert len(read(path)) == MAX_BYTES
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(ValueError, match="too large"):
        read(path)


def test_all_unusable_files_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "good").write_text("from the file\n")
    given = {
        "FRAUD_A": "from the variable",
        "FRAUD_A_FILE": str(tmp_path / "good"),
        "FRAUD_B_FILE": str(tmp_path / "absent"),
        "FRAUD_C_FILE": str(tmp_path / "good"),
    }
    with pytest.raises(ValueError, match="both set") as caught:
        filled_in(given, ["FRAUD_A", "FRAUD_B", "FRAUD_C"])
    first, second = str(caught.value).splitlines()
    assert first == "FRAUD_A and FRAUD_A_FILE are both set: unset one of them"
    assert second.startswith(f"FRAUD_B_FILE={str(tmp_path / 'absent')!r}: the file cannot be read")


def test_a_file_fills_in_its_secret_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    path = str(tmp_path / "secret")
    given = {"FRAUD_A": "", "FRAUD_A_FILE": path, "FRAUD_B_FILE": "", "FRAUD_D_FILE": path}
    filled = filled_in(given, ["FRAUD_A", "FRAUD_B", "FRAUD_C"])
    assert filled == {**given, "FRAUD_A": "hunter2"}  # an empty variable counts as unset
    assert given["FRAUD_A"] == ""
