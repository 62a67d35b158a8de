"""Entries of lists come and go from the command line, by the piece and by the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraudapp.local.server import Server
from tests.integration.test_policy_commands import ONE
from tests.support.commanding import Commands


@pytest.fixture
def run(kafka: Server, topics: dict[str, str], tmp_path: Path) -> Commands:
    environment = {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_TOPIC_PARTITIONS": "1"}
    return Commands(environment, tmp_path)


def values(run: Commands, *options: str) -> list[str]:
    return [each["value"] for each in run.json("lists", "show", "mules", *options)]


def test_entries_are_added_shown_and_removed(run: Commands) -> None:
    told = run.done("lists", "add", "mules", "C1", "C/2", "--note", "court", "--author", "alice")
    assert told == "list mules: 2 entries added\nno policy in force looks into it\n"
    run.done("lists", "add", "mules", "C3", "--expires", "30d")
    assert values(run) == ["C3", "C/2", "C1"]
    assert values(run, "--limit", "1") == ["C3"]
    shown = run.done("lists", "show", "mules", "--limit", "2").splitlines()
    assert shown[0].split() == ["value", "expires", "added", "author", "note"]
    assert shown[2].split()[3:] == ["alice", "court"]
    assert shown[3] == "3 entries, the newest 2 of them; no policy in force looks into it"
    done = run("lists", "remove", "mules", "C1", "C9")
    assert (done.exit_code, done.stderr) == (0, "C9 is not in list mules\n")
    assert values(run) == ["C3", "C/2"]


def test_all_lists_are_shown_with_the_policy_that_looks_into_them(run: Commands) -> None:
    run.done("policy", "apply", run.file(ONE))
    run.done("lists", "add", "other", "C1")
    assert run.json("lists", "show") == [
        {"list": "mules", "entries": 0, "looked_into_by": 1},
        {"list": "other", "entries": 1, "looked_into_by": None},
    ]
    assert [each.split() for each in run.done("lists", "show").splitlines()[1:]] == [
        ["mules", "0", "version", "1"],
        ["other", "1", "-"],
    ]
    assert "0 entries; version 1, which is in force" in run.done("lists", "show", "mules")
    assert run("lists", "show", "absent").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [("Mules", "C1"), ("mules", ""), ("mules", "C1", "\x07"), ("mules", "C1", "--expires", "1")],
)
def test_what_is_no_entry_is_refused_before_anything_is_written(
    run: Commands, arguments: tuple[str, ...]
) -> None:
    run.done("lists", "add", "mules", "C0")
    assert run("lists", "add", *arguments).exit_code == 2
    assert run.records() == 1


def test_a_file_is_added_and_only_what_differs_is_written(run: Commands) -> None:
    run.done("lists", "add", "mules", "C0")
    file = run.file("value,note\nC1,one\nC2,two\n", "entries.csv")
    assert "list mules: 2 entries added\n" in run.done("lists", "import", "mules", file, "--quiet")
    assert "nothing to change" in run.done("lists", "import", "mules", file, "--quiet")
    assert run.records() == 3
    file = run.file("value,note\nC1,one\nC2,new\nC3,\n", "entries.csv")
    told = run.done("lists", "import", "mules", file, "--replace", "--quiet")
    assert "list mules: 2 entries added, 1 entries removed\n" in told
    assert values(run) == ["C3", "C2", "C1"]
    assert run.records() == 6


def test_a_file_that_is_wrong_changes_nothing(run: Commands) -> None:
    run.done("lists", "add", "mules", "C0")
    file = run.file("C1\n\x07\nC2\n", "entries.txt")
    done = run("lists", "import", "mules", file, "--replace")
    assert done.exit_code == 2
    assert "entries.txt, line 2: list mules: entry" in done.stderr
    empty = run("lists", "import", "mules", run.file("", "empty"), "--replace")
    assert (empty.exit_code, "would empty list mules" in empty.stderr) == (2, True)
    assert values(run) == ["C0"]


def test_owners_are_waited_for_if_the_policy_looks_into_the_list(run: Commands) -> None:
    assert "no policy in force" in run.done("lists", "add", "mules", "C0", "--wait", "0")
    run.done("policy", "apply", run.file(ONE))
    assert "no policy in force" in run.done("lists", "add", "other", "C0", "--wait", "0")
    run.heartbeats({0: "1+3"})
    done = run("lists", "add", "mules", "C1", "--wait", "0")
    assert (done.exit_code, "reports version 1+3, " in done.stderr) == (4, True)
    run.heartbeats({0: "1+4"})
    done = run("lists", "remove", "mules", "C9", "--wait", "9")
    assert "list mules is in force on all 1 partitions, of 1 worker" in done.stdout
    assert run("lists", "add", "mules", "C1", "--wait", "0").exit_code == 4
    run.heartbeats({0: "2+0"})  # a later policy was read after it
    run.done("lists", "add", "mules", "C1", "--wait", "9")
