"""What the documents name is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from faust.cli.faust import cli

from fraudapp.commands import register
from fraudapp.settings import SECRETS, described

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "agents/README.md",
    "docker/README.md",
    "docker/RUNBOOK.md",
    "docker/SCALING.md",
    "docker/airflow/README.md",
    "fraudapp/GUARANTEES.md",
    "fraudapp/README.md",
    "fraudapp/webhooks/README.md",
    "models/README.md",
    "models/policies/README.md",
    "models/profiles/README.md",
    "models/rules/README.md",
    "models/schema/README.md",
    "docker/own/README.md",
    "docker/policy/README.md",
    "tests/README.md",
    "tests/benchmarks/README.md",
    "web/README.md",
]
OTHERS = {
    "FRAUD_PAYSIM_DIR",
    "FRAUD_REPORT_COMMAND",
    "FRAUD_REPORT_CONNECTION",
    "FRAUD_TEST_CACHE",
    "FRAUD_TEST_REQUIRE_SERVERS",
    "FRAUD_X",
}
"""Variables that tests and the Airflow DAG read, and one that stands for any."""
HELP = {"--help"}
OF_CONTRIBUTORS = [
    *(".github/CONTRIBUTING.md", ".github/SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"),
    *(f".github/decisions/{each.name}" for each in (ROOT / ".github/decisions").glob("*.md")),
]
FOLDERS = ("agents", "data", "docker", "fraudapp", "models", "tables", "tests", "web", ".ci")


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def commands(text: str) -> Iterator[list[str]]:
    """What follows `fraudapp` in code, up to the end of the command."""
    for code in re.findall(r"`fraudapp ([^`]*)`", text):
        yield code.split()
    for line in re.findall(r"^\s*(?:\$|>).* fraudapp ([a-z][^#;\n]*)", text, re.MULTILINE):
        yield line.split()


@pytest.mark.parametrize("name", [*DOCUMENTS, *OF_CONTRIBUTORS])
def test_each_path_in_a_document_is_there(name: str) -> None:
    document = ROOT / name
    for path in re.findall(r"`([\w./-]+(?:\.py|/))`", document.read_text()):
        if path.split("/")[0] in FOLDERS and "/" in path.rstrip("/"):
            assert (ROOT / path).exists(), path
        elif path.endswith(".py"):
            found = [*document.parent.rglob(path), *(ROOT / "fraudapp").rglob(path)]
            assert found or [*ROOT.glob(f"*/{path}")], path


@pytest.mark.parametrize(
    "name", [*DOCUMENTS, *OF_CONTRIBUTORS, "CHANGELOG.md", "data/PROVENANCE.md"]
)
def test_each_link_leads_somewhere(name: str) -> None:
    document = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_variable_is_a_setting(name: str) -> None:
    named = set(re.findall(r"\bFRAUD_[A-Z0-9_]+\b", (ROOT / name).read_text()))
    files = {f"{secret}_FILE" for secret in SECRETS}
    assert named <= {variable for variable, _, _ in described()} | files | OTHERS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_command_and_option_is_there(name: str) -> None:
    register()
    for words in commands((ROOT / name).read_text()):
        command: click.Command = cli
        while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, words
            command = found
        options = {
            option for each in command.params for option in (*each.opts, *each.secondary_opts)
        }
        used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words)))
        assert used <= options | HELP, (command.name, used)
