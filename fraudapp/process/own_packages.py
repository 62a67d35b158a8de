"""Our other top-level packages: those beside this one, whatever else is called so.

Their names are common. A folder that a program is started in comes first on Python's path, with
`-m`, with `PYTHONPATH` and in Faust; and other distributions install packages of the same names.
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
"""A line of the `__init__.py` of each."""


class ForeignPackage(click.ClickException):
    """A package under one of the names is not ours; the message says where, and what to do."""


class OursFirst:
    """Finds those packages before Python looks for them anywhere else."""

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
    """Let the packages be found beside this one from now on."""
    if OursFirst not in sys.meta_path:
        sys.meta_path.insert(0, OursFirst)


def check() -> None:
    """Raise `ForeignPackage` if one was imported from elsewhere before."""
    for name in NAMES:
        module = sys.modules.get(name)
        if module is not None and getattr(module, "__part_of__", None) != "fraudapp":
            where = getattr(module, "__file__", None) or "somewhere"
            raise ForeignPackage(
                f"{name} was imported from {where} before; fraudapp needs the one beside it, "
                f"{ROOT / name}: start it in a process of its own"
            )
