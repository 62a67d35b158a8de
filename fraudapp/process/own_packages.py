"""Imports the other top-level packages of fraudapp from beside this one, and from nowhere else.

Their names are common, and other distributions install packages of the same names. With `-m`, with
`PYTHONPATH` and in Faust, the folder in which a program starts also comes first on Python's path.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

import click

NAMES: Final = ("models", "data", "tables", "agents", "web")
ROOT: Final = Path(__file__).parents[2]
MARK: Final = '__part_of__ = "fraudapp"'
"""A line in the `__init__.py` of each of these packages."""


class ForeignPackage(click.ClickException):
    """A package with one of the names is not fraudapp's; the message says where it is."""


class OursFirst:
    """Finds the packages of fraudapp before Python looks for them anywhere else."""

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`; raises `ForeignPackage`."""
        if name not in NAMES:
            return None
        spec = PathFinder.find_spec(name, [str(ROOT)])
        source = getattr(spec and spec.loader, "get_source", None)
        if source is None or MARK not in (source(name) or ""):
            raise ForeignPackage(
                f"{ROOT / name} is not fraudapp's: another distribution has overwritten it (as "
                "PyTables does with tables, openai-agents with agents), or it is gone; install "
                "fraudapp in an environment of its own"
            )
        return spec


def install() -> None:
    """Let Python find the packages beside this one from now on; called on import of fraudapp."""
    if OursFirst not in sys.meta_path:
        sys.meta_path.insert(0, OursFirst)


def check() -> None:
    """Raise `ForeignPackage` if one of the packages was imported from elsewhere before."""
    for name in NAMES:
        module = sys.modules.get(name)
        if module is not None and getattr(module, "__part_of__", None) != "fraudapp":
            where = getattr(module, "__file__", None) or "somewhere"
            raise ForeignPackage(
                f"{name} was imported from {where} before; fraudapp needs the one beside it, "
                f"{ROOT / name}: start it in a process of its own"
            )
