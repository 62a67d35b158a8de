"""The note a running embedded stack leaves, so that a second terminal finds its servers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

NAME = "local.json"


def running_settings(data_dir: Path) -> dict[str, str]:
    """Settings (`FRAUD_*`) of the stack that runs in this data folder; empty if none runs."""
    try:
        note = json.loads((data_dir / NAME).read_text())
    except FileNotFoundError:
        return {}
    return dict(note["settings"]) if _alive(int(note["pid"])) else {}


def announce(data_dir: Path, settings: Mapping[str, str]) -> None:
    """Leave the note for the stack of this process."""
    note = {"pid": os.getpid(), "settings": dict(settings)}
    (data_dir / NAME).write_text(json.dumps(note, indent=2))


def withdraw(data_dir: Path) -> None:
    """Take the note away; harmless if there is none."""
    (data_dir / NAME).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    # A stack that was killed leaves its note behind; its process id tells.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
