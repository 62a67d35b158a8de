"""Foreign modules called `models`, `tables` or `web` are never run in place of ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fraudapp.local import stack
from tests.conftest import inherited_environment

ROOT = Path(__file__).parents[2]
NAMES = ("models", "agents", "tables", "web", "data")
BIN = Path(sys.executable).parent
CONSOLE = (str(BIN / "fraudapp"),)
MODULE = (sys.executable, "-m", "fraudapp")
CHILD = stack.PROGRAM
FAUST = (str(BIN / "faust"), "-A", "fraudapp.app")
FAUST_MODULE = (sys.executable, "-m", "faust", "-A", "fraudapp.app")
IMPORTED = "import fraudapp.app, models, data; print(models.__file__, data.__file__)"


def run(*argv: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = inherited_environment() | variables
    return subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def fill(folder: Path, *, as_modules: bool = False) -> Path:
    """A folder with foreign code under each of the names, and a library's."""
    for name in (*NAMES, "limits"):
        path = folder / (f"{name}.py" if as_modules else f"{name}/__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("print('HIJACKED')\n")
    return folder


@pytest.mark.parametrize(
    ("program", "as_modules"), [(CONSOLE, False), (CHILD, False), (MODULE, False), (FAUST, True)]
)
def test_code_of_the_folder_is_not_run(
    tmp_path: Path, program: tuple[str, ...], as_modules: bool
) -> None:
    fill(tmp_path, as_modules=as_modules)
    if program not in (CONSOLE, CHILD):  # there Python and Faust look for libraries in the folder
        (tmp_path / "limits.py").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "limits", ignore_errors=True)
    done = run(*program, "settings", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "HIJACKED" not in done.stdout
    assert "FRAUD_BROKER_URL" in done.stdout


def test_code_on_the_path_is_not_run(tmp_path: Path) -> None:
    foreign = fill(tmp_path / "foreign")
    shutil.rmtree(foreign / "limits")
    done = run(sys.executable, "-c", IMPORTED, cwd=tmp_path, PYTHONPATH=str(foreign))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in ("models", "data")]


def test_what_was_imported_before_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    shutil.rmtree(tmp_path / "limits")
    done = run(sys.executable, "-c", f"import tables; {IMPORTED}", cwd=tmp_path)
    assert done.returncode != 0
    assert "tables" in done.stderr.splitlines()[-1]
    assert f"fraudapp needs the one beside it, {ROOT}" in done.stderr.splitlines()[-1]


def installation(folder: Path) -> Path:
    """A copy of our packages."""
    for name in ("fraudapp", *NAMES):
        ignored = shutil.ignore_patterns("*.csv", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def test_what_another_distribution_has_left_beside_our_modules_is_not_run(tmp_path: Path) -> None:
    installed = installation(tmp_path / "installed")
    for name in ("agents", "tables", "web"):
        (installed / name / "leftover.py").write_text("print('HIJACKED')\n")
    done = run(*MODULE, "settings", cwd=tmp_path, PYTHONPATH=str(installed))
    assert (done.returncode, done.stderr) == (0, "")
    assert "HIJACKED" not in done.stdout


def test_every_module_of_ours_is_imported_with_the_application(tmp_path: Path) -> None:
    done = run(sys.executable, "-c", "import fraudapp.app, sys; print(*sys.modules)", cwd=tmp_path)
    imported = set(done.stdout.split())
    for name in ("agents", "tables", "web"):
        ours = {f"{name}.{path.stem}" for path in (ROOT / name).glob("*.py")}
        assert ours - imported <= {f"{name}.__init__"}


@pytest.mark.parametrize("damage", ["overwritten", "gone"])
def test_an_environment_whose_packages_another_one_has_overwritten_is_refused(
    tmp_path: Path, damage: str
) -> None:
    installed = installation(tmp_path / "installed")
    here = tmp_path / "here"
    here.mkdir()
    if damage == "gone":
        shutil.rmtree(installed / "tables")
    else:  # as PyTables does
        (installed / "tables" / "__init__.py").write_text("print('HIJACKED')\n")
    program = MODULE if damage == "gone" else FAUST_MODULE
    done = run(*program, "settings", cwd=here, PYTHONPATH=str(installed))
    assert done.returncode == 1
    assert "HIJACKED" not in done.stdout
    assert done.stderr.startswith(f"Error: {installed / 'tables'} is not fraudapp's")
