"""The manifests as kustomize builds them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.deployment.composed import DOCKER
from tests.deployment.programs import program, said

KUBERNETES = DOCKER / "kubernetes"
OVERLAY = """
resources: [../../base]
components: [{components}]
configMapGenerator:
  - {{name: fraudapp, namespace: fraud, behavior: merge, literals: [{literals}]}}
"""
Objects = list[dict[str, Any]]


def kustomized(folder: Path) -> Objects:
    """The objects of a folder."""
    return list(yaml.safe_load_all(said([program("kustomize"), "build", folder])))


def overlay(folder: Path, *components: str, more: str = "", **settings: str) -> Objects:
    """The objects of an overlay of our base, in `folder`, with components and workers' settings.

    `more` are lines of its kustomization.
    """
    shutil.copytree(KUBERNETES, folder, dirs_exist_ok=True)
    text = OVERLAY.format(
        components=", ".join(f"../../components/{each}" for each in components),
        literals=", ".join(f'"{name}={value}"' for name, value in settings.items()),
    )
    (folder / "overlays" / "own").mkdir(exist_ok=True)
    (folder / "overlays" / "own" / "kustomization.yaml").write_text(text + more)
    return kustomized(folder / "overlays" / "own")


def one(objects: Objects, kind: str, name: str = "fraudapp") -> dict[str, Any]:
    """The object of a kind; a generated name may go on with a digest."""
    (found,) = (
        each
        for each in objects
        if each["kind"] == kind
        and (each["metadata"]["name"] == name or each["metadata"]["name"].startswith(f"{name}-"))
        and (each["metadata"]["name"] == name or kind == "ConfigMap")
    )
    return found
