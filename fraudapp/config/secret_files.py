"""Secrets from files, as orchestrators mount them: `FRAUD_…_FILE` names the file of `FRAUD_…`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

SUFFIX: Final = "_FILE"
MAX_BYTES: Final = 64 * 1024
"""Bytes; a larger file cannot be a secret, and was named by mistake."""


def read(path: Path) -> str:
    """Return the text of a secret file without the line ends at its end.

    Raises `ValueError` if the file cannot be read, is empty or is no text. The message repeats
    nothing of the content.
    """
    try:
        with open(path, "rb", opener=_without_blocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("it is no regular file")
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ValueError(f"the file cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_BYTES:
        raise ValueError("the file is too large for a secret")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError("the file is no text in UTF-8")
    if not text.strip():
        raise ValueError("the file is empty")
    return text


def filled_in(given: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    """Return the variables, with each secret added that comes from a file.

    Raises `ValueError` with one line for each file that cannot be used.
    """
    filled, problems = dict(given), []
    for name in secrets:
        path = given.get(name + SUFFIX)
        if not path:
            continue
        if given.get(name):
            problems.append(f"{name} and {name}{SUFFIX} are both set: unset one of them")
            continue
        try:
            filled[name] = read(Path(path))
        except ValueError as exc:
            problems.append(f"{name}{SUFFIX}={path!r}: {exc}")
    if problems:
        raise ValueError("\n".join(problems))
    return filled


def _without_blocking(path: str, flags: int) -> int:
    """Open a path without waiting, even if it is a pipe that has no writer."""
    return os.open(path, flags | os.O_NONBLOCK)
