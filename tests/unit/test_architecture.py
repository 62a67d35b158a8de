"""Imports between packages, and between the layers of `fraudapp`, run one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "models": {"models"},
    "data": {"data"},
    "fraudapp": {"fraudapp", "models", "data"},
    "tables": {"tables", "fraudapp", "models"},
    "agents": {"agents", "tables", "fraudapp", "models"},
    "web": {"web", "tables", "fraudapp", "models"},
}
COMPOSITION_ROOT = "fraudapp.application"
"""It names all of them; nothing below it imports it."""
LAYERS = (
    {"config", "process", "metrics", "condition", "operation", "retry", "settings", "takeover"},
    {"kafka", "model_registry", "samples", "first_model"},
    {"decisions", "messages"},
    {"sinks", "control", "webhooks", "labels", "quality", "profiles", "watch"},
    {"reports", "backtests", "verifying", "training", "comparing"}
    | {"shared_model", "worker", "status", "queries", "submit", "explaining"},
    {"faust_app", "application", "app", "cli", "commands", "local", "__main__"},
)
"""Layers of `fraudapp`, from the bottom up: a part imports from its own layer and those below."""
PURE = {
    "asyncio",
    "socket",
    "time",
    "faust",
    "aiokafka",
    "redis",
    "asyncpg",
    "sqlalchemy",
    "aiohttp",
}
NOT_SERVING = ("models.training", "models.files")


def modules(package: str) -> Mapping[str, Path]:
    """Every module of a package by its dotted name."""
    paths = sorted((ROOT / package).rglob("*.py"))
    dotted = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return dict(zip((name.removesuffix(".__init__") for name in dotted), paths, strict=True))


def imports(path: Path) -> Iterator[str]:
    """What a module imports, as far down as it is named; what only types need as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(package: str) -> dict[str, set[str]]:
    """The modules of a package that each of its modules imports."""
    there = modules(package)
    found: dict[str, set[str]] = {}
    for name, path in there.items():
        named = {each if each in there else each.rpartition(".")[0] for each in imports(path)}
        found[name] = (named & there.keys()) - {name}
    return found


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_a_package_imports_only_those_below_it(package: str) -> None:
    for name, path in modules(package).items():
        if name == COMPOSITION_ROOT:
            continue
        for imported in imports(path):
            top = imported.partition(".")[0]
            assert top not in MAY_IMPORT or top in MAY_IMPORT[package], f"{name}: {imported}"


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_no_imports_go_in_a_circle(package: str) -> None:
    TopologicalSorter(within(package)).prepare()  # raises `CycleError`, which names them


def test_the_parts_of_fraudapp_are_in_six_layers() -> None:
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    found = within("fraudapp")
    assert {part(name) for name in found} - {""} == layer.keys()
    for name, imported in found.items():
        for other in filter(part, imported):
            allowed = not part(name) or layer[part(other)] <= layer[part(name)]
            assert allowed, f"{name} imports {other}, which is above it"


def test_no_two_parts_import_each_other() -> None:
    arrows: dict[str, set[str]] = {}
    for name, imported in within("fraudapp").items():
        arrows.setdefault(part(name), set()).update(map(part, imported))
    for name, others in arrows.items():
        others.discard(name)
    arrows.pop("", None)  # the package itself
    TopologicalSorter(arrows).prepare()


def test_only_the_entry_points_import_the_app() -> None:
    for package in MAY_IMPORT:
        for name, path in modules(package).items():
            assert "fraudapp.app" not in {each.rpartition(".")[0] for each in imports(path)}, name


def test_production_code_does_not_need_the_embedded_stack() -> None:
    for name, imported in within("fraudapp").items():
        if part(name) not in ("local", "commands"):
            assert not {each for each in imported if part(each) == "local"}, name


def test_what_serves_does_not_need_what_trains() -> None:
    for name, path in modules("models").items():
        if not name.startswith(NOT_SERVING):
            for imported in imports(path):
                assert not imported.startswith("models.training"), f"{name} imports {imported}"


def test_a_worker_imports_nothing_that_only_training_needs() -> None:
    """pandas alone takes a fifth of a second and 40 MB of each worker and each command."""
    names = ("pandas", "sklearn", "scipy", "pyarrow", "matplotlib", "models.training.dataset")
    script = f"import sys, fraudapp.app; sys.exit(' '.join({{*{names}}} & {{*sys.modules}}) or 0)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (found.returncode, found.stderr) == (0, "")


def test_the_core_knows_no_network_and_no_clock() -> None:
    for name, path in modules("models").items():
        for imported in imports(path):
            assert imported.partition(".")[0] not in PURE, f"{name} imports {imported}"
        text = path.read_text()
        assert ".now(" not in text, f"{name} reads a clock"
        assert ".utcnow(" not in text, f"{name} reads a clock"
