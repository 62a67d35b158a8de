"""A wheel of the project has everything that it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("agents", "data", "fraudapp", "models", "tables", "web")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
MAX_VENDOR_BYTES = 2_000_000  # bytes of everything that is not our own in the pages


def test_a_wheel_holds_the_pages_and_serves_them(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in SOURCES:
        shutil.copytree(ROOT / name, project / name)
    for name in FILES:
        shutil.copy(ROOT / name, project)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    subprocess.run([*build, str(project)], check=True, timeout=120)
    (wheel,) = tmp_path.glob("fraudapp-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)

    for folder in ("static", "templates"):
        for path in (ROOT / "web" / folder).rglob("*"):
            if path.is_file():
                copy = installed / path.relative_to(ROOT)
                assert copy.read_bytes() == path.read_bytes(), path
    program = (
        "import fraudapp.app, web.pages, web.views; print(web.pages.__file__); "
        "print(web.views.TEMPLATES.get_template('stats.html').render(version='1', keys=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin"},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith(str(installed))
    assert "uPlot.iife.min.js" in done.stdout


def test_what_is_not_our_own_is_light_and_keeps_its_licence() -> None:
    vendored = ROOT / "web" / "static" / "vendor"
    sizes = [path.stat().st_size for path in vendored.rglob("*") if path.is_file()]
    assert sum(sizes) < MAX_VENDOR_BYTES
    for folder in vendored.iterdir():
        assert (folder / "LICENSE").is_file(), folder
