"""Schema files that come with the program."""

from __future__ import annotations

from importlib.resources import files

_FILES = files(__name__)


def names() -> list[str]:
    """Return the names of all of them."""
    return sorted(
        each.name.removesuffix(".toml") for each in _FILES.iterdir() if each.name.endswith(".toml")
    )


def content(name: str) -> bytes:
    """Return the file of a preset, which is one of `names`."""
    return (_FILES / f"{name}.toml").read_bytes()


def examples(name: str) -> list[bytes]:
    """Return the messages that come with a preset, which is one of `names`."""
    return (_FILES / "examples" / f"{name}.jsonl").read_bytes().splitlines()
