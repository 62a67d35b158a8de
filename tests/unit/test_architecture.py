"""Arrows between packages run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


def imports(package: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                yield path, node.module or ""


@pytest.mark.parametrize("package", list(MAY_IMPORT))
def test_a_package_imports_only_those_below_it(package: str) -> None:
    found = list(imports(package))
    assert found
    for path, name in found:
        top = name.partition(".")[0]
        assert top not in MAY_IMPORT or top in MAY_IMPORT[package], f"{path} imports {name}"


def test_the_core_knows_no_network_and_no_clock() -> None:
    for path, name in imports("models"):
        assert name.partition(".")[0] not in PURE, f"{path} imports {name}"
    for path in (ROOT / "models").rglob("*.py"):
        text = path.read_text()
        assert ".now(" not in text, f"{path} reads a clock"
        assert ".utcnow(" not in text, f"{path} reads a clock"
