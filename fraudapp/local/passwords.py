"""Passwords of the embedded servers: whoever else is on this machine reaches their ports."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fraudapp.process.private_files import write_private

NAME: Final = "passwords.json"
BYTES: Final = 24  # of chance
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{32}")


def passwords(folder: Path, servers: Sequence[str]) -> dict[str, str]:
    """A password for each server: those of the file in `folder`, or new ones, kept in it.

    Whatever others could have read is replaced. They need no quoting in URLs and files. Raises
    `OSError`.
    """
    path = folder / NAME
    kept = _kept(path)
    if set(kept) != set(servers):
        kept = {server: secrets.token_urlsafe(BYTES) for server in servers}
        write_private(path, json.dumps(kept, indent=2) + "\n")
    return kept


def _kept(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                return {}
            kept = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and all(map(_sound, kept.values())) else {}


def _sound(password: object) -> bool:
    return isinstance(password, str) and _FORM.fullmatch(password) is not None
