"""The sample transactions that ship with the project, and the generator that made them."""

from __future__ import annotations

from pathlib import Path

__part_of__ = "fraudapp"


def sample_path() -> Path:
    """Return the path of the packaged `transactions.csv`; see `PROVENANCE.md` beside it."""
    return Path(__file__).with_name("transactions.csv")
