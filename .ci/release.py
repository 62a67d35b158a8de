"""Make a release: `make release VERSION=X.Y.Z`.

Runs the gate, writes the version where it is named, dates the changelog's `Unreleased` section,
commits, tags `vX.Y.Z` and builds the wheel in `dist/`. It pushes nothing. `--skip-gate` is for a
commit whose gate has just passed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parents[1]
VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
NAMED_IN: Final = (
    "fraudapp/__init__.py",
    "docker/.env.example",
    "docker/airflow/README.md",
    "docker/kubernetes/base/kustomization.yaml",
    "docker/kubernetes/overlays/example/kustomization.yaml",
    "README.md",
)
"""Files that name the version; each has to."""


@click.command()
@click.argument("version")
@click.option("--skip-gate", is_flag=True, help="The gate has just passed on this commit.")
def main(version: str, skip_gate: bool) -> None:
    """Release this commit as VERSION."""
    before = current()
    if not VERSION.fullmatch(version) or parts(version) <= parts(before):
        raise click.ClickException(f"VERSION={version!r}: name one after {before}, as 1.2.3")
    if git("status", "--porcelain"):
        raise click.ClickException("there are uncommitted changes; commit or remove them")
    if f"v{version}" in git("tag").split():
        raise click.ClickException(f"the tag v{version} exists")
    changelog = dated((ROOT / "CHANGELOG.md").read_text(), version)
    texts = {name: renamed(name, before, version) for name in NAMED_IN}
    if not skip_gate:
        subprocess.run([str(ROOT / ".ci" / "run")], cwd=ROOT, check=True)
    for name, text in {**texts, "CHANGELOG.md": changelog}.items():
        (ROOT / name).write_text(text)
    shutil.rmtree(ROOT / "build", ignore_errors=True)  # modules that are gone would be built in
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", "."]
    try:
        subprocess.run(build, cwd=ROOT, check=True)
    except subprocess.CalledProcessError:
        git("checkout", "--", ".")
        raise
    git("commit", "--all", "--message", f"Release {version}")
    git("tag", "--annotate", f"v{version}", "--message", f"fraudapp {version}")
    click.echo(f"tagged v{version}; push it with: git push --follow-tags")


def current() -> str:
    """Return the version that the package says it has."""
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / NAMED_IN[0]).read_text())
    if found is None:
        raise click.ClickException(f"{NAMED_IN[0]} names no version")
    return found[1]


def dated(changelog: str, version: str) -> str:
    """Return the changelog with its unreleased section named after the version, and a new one."""
    head, found, rest = changelog.partition("## [Unreleased]\n")
    section = rest.partition("\n## [")[0]
    if not found or not section.strip():
        raise click.ClickException("CHANGELOG.md has nothing under [Unreleased]")
    day = datetime.now(timezone.utc).date().isoformat()
    return f"{head}{found}\n## [{version}] - {day}\n{rest}"


def renamed(name: str, before: str, version: str) -> str:
    """Return a file's text with another version in it; refuses one that does not name it."""
    text = (ROOT / name).read_text()
    if before not in text:
        raise click.ClickException(f"{name} does not name the version {before}")
    return text.replace(before, version)


def parts(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which compare as versions do."""
    return tuple(map(int, version.split(".")))


def git(*arguments: str) -> str:
    """Return what git prints; raises `CalledProcessError`."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    main()
