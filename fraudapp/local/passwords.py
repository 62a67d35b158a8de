"""Passwords of the embedded servers, since every user of this machine can reach their ports."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fraudapp.process.private_files import write_private

FILE_NAME: Final = "passwords.json"
PASSWORD_BYTES: Final = 24
"""Random bytes of a password."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{32}")


def passwords(folder: Path, servers: Sequence[str]) -> dict[str, str]:
    """Return a password for each server: from the file in `folder`, or new ones written to it.

    A file that other users could have read or changed is replaced. Passwords need no quoting in
    URLs and files. Raises `OSError`.
    """
    path = folder / FILE_NAME
    found = _read(path)
    if set(found) != set(servers):
        found = {server: secrets.token_urlsafe(PASSWORD_BYTES) for server in servers}
        write_private(path, json.dumps(found, indent=2) + "\n")
    return found


def _read(path: Path) -> dict[str, str]:
    """Return the passwords in a file; empty if it is damaged or was not private to this user."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                return {}
            found = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) and all(map(_is_valid, found.values())) else {}


def _is_valid(password: object) -> bool:
    return isinstance(password, str) and _FORM.fullmatch(password) is not None
