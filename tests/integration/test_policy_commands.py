"""Policies are put in force, shown and taken back from the command line; exit codes tell how."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError

from fraudapp.cli.control import Control, TooLate, opened
from fraudapp.cli.policy_changes import propose
from fraudapp.cli.waiting import Waiting
from fraudapp.local.processes import free_port
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from models.control.chain import Candidate
from models.control.records import CapKey, Capped
from tests.support.commanding import Commands

RULE = """
[[rules]]
id = "large"
when = "amount > {most} or nameDest in @mules"
then = "block"
reason = "{{amount:,.2f}} is a lot."
owner = "o"
"""
ONE, TWO = RULE.format(most=100), RULE.format(most=200)


@pytest.fixture
def run(kafka: Server, topics: dict[str, str], tmp_path: Path) -> Commands:
    environment = {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_TOPIC_PARTITIONS": "2"}
    return Commands(environment, tmp_path)


@pytest.fixture
def both(run: Commands) -> Commands:
    """The same, with two versions in force one after the other."""
    run.done("policy", "apply", run.file(ONE), "--author", "alice")
    run.done("policy", "apply", run.file(TWO), "--author", "bob", "--note", "calmer")
    return run


def numbers(run: Commands, *options: str) -> list[int | None]:
    return [each["number"] for each in run.json("policy", "history", *options)]


def test_a_policy_comes_in_force_without_any_worker(run: Commands) -> None:
    done = run("policy", "show")
    assert done.exit_code == 1
    assert f"there is no topic {run.environment['FRAUD_CONTROL_TOPIC']}" in done.stderr
    file = run.file(ONE)
    assert run.done("policy", "apply", file) == "version 1 is in force\n"
    shown = run.done("policy", "show")
    assert shown.startswith("# version 1, in force\n# id ")
    assert shown.endswith(ONE)
    assert "nothing to change: it is in force as version 1" in run.done("policy", "apply", file)
    assert run.records() == 1


def test_a_policy_that_is_wrong_changes_nothing(both: Commands) -> None:
    before = both.records()
    done = both("policy", "apply", both.file(ONE.replace("amount >", "amout >")))
    assert done.exit_code == 2
    assert "policy.toml: line 4, column 9: rule large: there is no field" in done.stderr
    assert both("policy", "apply", "absent.toml").exit_code == 2
    assert both("policy", "apply", both.file(ONE), "--author", "").exit_code == 2
    assert both.records() == before


def test_a_policy_for_another_parent_is_too_late(both: Commands) -> None:
    before = both.records()
    for parent in ("0", "1", "3"):
        done = both("policy", "apply", both.file(ONE), "--parent", parent)
        assert done.exit_code == 3
        assert f"version {parent} is not in force; in force is version 2, by bob at" in done.stderr
    assert both.records() == before
    both.done("policy", "apply", both.file(ONE), "--parent", "2")
    assert numbers(both) == [1, 2, 3]


async def test_of_two_policies_on_one_parent_exactly_one_comes_in_force(run: Commands) -> None:
    settings = load(run.environment)
    async with (
        opened(settings, for_writing=True) as one,
        opened(settings) as other,
        one.writer() as by_one,
        other.writer() as by_other,
    ):
        for turn in range(20):
            parent = one.known.chain.head
            told = await asyncio.gather(
                by_one.propose(ONE, author="alice", parent=parent),
                by_other.propose(TWO, author="bob", parent=parent),
            )
            assert sorted(each.fate for each in told) == ["in the chain", "too late"]
            end = max(each.offset for each in told) + 1
            await asyncio.gather(one.read_to(end), other.read_to(end))
            assert ids(one) == ids(other)
            assert len(ids(one)) == turn + 1


def ids(control: Control) -> list[str]:
    return [each.id for each in control.known.chain.members]


async def test_one_that_was_quicker_is_named(run: Commands) -> None:
    settings = load(run.environment)
    async with opened(settings, for_writing=True) as one, opened(settings) as other:
        async with other.writer() as writer:
            await writer.propose(ONE, author="bob", parent="")
        with pytest.raises(TooLate, match="In force is version 1, by bob at 20") as raised:
            await propose(one, Waiting(0.0, None), TWO, parent=one.head, author="a", note="")
    assert raised.value.exit_code == 3
    assert "it was to take the place of no version in force" in raised.value.message


def test_an_approval_for_another_parent_is_too_late(run: Commands) -> None:
    told = run.done("policy", "apply", run.file(TWO), FRAUD_POLICY_APPROVAL="true")
    run.done("policy", "apply", run.file(ONE), "--author", "bob")
    before = run.records()
    done = run("policy", "approve", told.split()[-1], "--author", "eve")
    assert done.exit_code == 3
    assert "That is version 1, by bob at" in done.stderr
    assert run.records() == before


def test_somebody_else_has_to_approve(run: Commands) -> None:
    file = run.file(ONE)
    told = run.done(
        "policy", "apply", file, "--author", "alice", "--wait", "9", FRAUD_POLICY_APPROVAL="true"
    )
    assert "it waits until somebody else approves it: fraudapp policy approve " in told
    id_ = told.split()[-1]
    assert f"waits for approval (1 of 1: {id_})" in run.done("policy", "history")
    assert "no policy is in force" in run.done("policy", "show")
    for argument, author, words in [
        (id_, "alice", "alice has proposed policy"),
        ("1", "alice", "alice has proposed policy"),
        ("2", "bob", "1 policies wait for approval; 2 is none"),
        ("0" * 32, "bob", "is the id of no policy"),
        (id_[:7], "bob", ""),  # too short to be sure, or a number
    ]:
        done = run("policy", "approve", argument, "--author", author)
        assert (done.exit_code, words in done.stderr) == (1, True), done.output
    assert run.records() == 1
    told = run.done("policy", "approve", id_[:12], "--author", "bob", "--note", "seen")
    assert told == "version 1 is in force\n"
    assert run("policy", "approve", id_, "--author", "bob").exit_code == 1
    assert "# approved by bob: seen\n" in run.done("policy", "show")
    (row,) = run.json("policy", "history")
    assert (row["author"], row["approver"], row["approval_note"]) == ("alice", "bob", "seen")


def test_the_history_tells_what_became_of_each(both: Commands) -> None:
    asyncio.run(late_and_unfit(load(both.environment)))
    assert numbers(both) == [1, 2, 3]
    rows = both.json("policy", "history", "--all")
    assert [each["number"] for each in rows] == [1, 2, None, 3]
    assert [each["fate"].partition(",")[0].partition(":")[0] for each in rows] == [
        *("replaced by version 2", "replaced by version 3", "too late", "does not fit")
    ]
    lines = both.done("policy", "history", "--all").splitlines()
    assert lines[0].split() == ["number", "when", "author", "approver", "fate", "note"]
    assert lines[2].endswith("calmer")
    assert r"a\nb" in lines[3]


async def late_and_unfit(settings: Settings) -> list[Candidate]:
    async with opened(settings) as control, control.writer() as writer:
        return [
            await writer.propose(ONE, author="eve", parent="", note="a\nb"),
            await writer.propose("no TOML", author="eve", parent=control.known.chain.head),
        ]


def test_a_version_of_a_decision_is_shown_with_its_lists_and_caps(both: Commands) -> None:
    both.done("lists", "add", "mules", "C1", "C2", "--note", "court")
    both.done("lists", "add", "unused", "C9")
    asyncio.run(capped(load(both.environment), ""))
    asyncio.run(capped(load(both.environment), "large"))
    both.done("lists", "remove", "mules", "C1")
    shown = both.done("policy", "show", "2+6", "--entries")
    assert "# as of offset 6 of the control log:\n# list mules had 2 entries" in shown
    assert "# caps that were on: on all\n" in shown
    assert "# mules: C1\n# mules: C2\n" in shown
    assert shown.endswith(TWO)
    shown = both.done("policy", "show", "2+8")
    assert "# list mules had 1 entries" in shown
    assert "# caps that were on: on all, on large\n" in shown
    assert "C2" not in shown
    assert "# version 1, replaced by version 2\n" in both.done("policy", "show", "1")
    (told,) = both.json("policy", "show", "2+6", "--entries")
    assert (told["text"], told["author"], told["lists"]) == (TWO, "bob", {"mules": 2})
    assert told["caps"] == ["all"]
    assert [each["note"] for each in told["entries"]["mules"]] == ["court", "court"]


async def capped(settings: Settings, rule: str) -> None:
    async with opened(settings) as control, control.writer() as writer:
        key = CapKey(control.known.chain.head, rule)
        await writer.set_caps({key: Capped(on=True, share=0.25, author="w:1")})


def test_versions_without_a_policy_are_explained(both: Commands) -> None:
    told = both.done("policy", "show", "flag-0.5-block-0.8")
    assert "FRAUD_FLAG_AT=0.5 and FRAUD_BLOCK_AT=0.8" in told
    assert "explained" in json.loads(both.done("policy", "show", "flag-0.5-block-0.8", "--json"))
    done = both("policy", "show", "3")
    assert (done.exit_code, "there is no version 3: the last one is 2" in done.stderr) == (1, True)
    assert both("policy", "show", "first").exit_code == 2


def test_differences_are_shown(both: Commands) -> None:
    told = both.done("policy", "diff", "1")
    assert told.startswith("--- version 1\n+++ version 2\n")
    assert '-when = "amount > 100 or' in told
    assert told == both.done("policy", "diff", "1", "2")
    assert both.done("policy", "diff", "2") == ""
    told = both.done("policy", "diff", both.file(ONE))
    assert told.startswith("--- version 2\n+++ ")
    assert '+when = "amount > 100 or' in told
    assert "-flag_at = 0.5\n" in both.done("policy", "diff", "0", "1")
    for wrong in ("9", "absent.toml"):
        assert both("policy", "diff", wrong).exit_code == 1


def test_rolling_back_puts_an_earlier_text_in_force_as_a_new_version(both: Commands) -> None:
    assert both.done("policy", "rollback") == "rollback to 1\nversion 3 is in force\n"
    assert both.done("policy", "show").endswith(ONE)
    assert both.json("policy", "history")[-1]["note"] == "rollback to 1"
    both.done("policy", "rollback", "2", "--author", "eve", "--note", "sorry")
    assert both.json("policy", "history")[-1]["note"] == "rollback to 2: sorry"
    assert both.done("policy", "show").endswith(TWO)
    assert "nothing to change" in both.done("policy", "rollback", "2")
    assert both("policy", "rollback", "9").exit_code == 1


def test_before_the_first_version_are_the_thresholds_of_the_settings(run: Commands) -> None:
    asyncio.run(made(load(run.environment)))
    assert run("policy", "rollback").exit_code == 1
    run.done("policy", "apply", run.file(ONE))
    told = run.done("policy", "rollback", FRAUD_FLAG_AT="0.25")
    assert told == "rollback to the thresholds\nversion 2 is in force\n"
    assert run.done("policy", "show").endswith("flag_at = 0.25\nblock_at = 0.8\n")


async def made(settings: Settings) -> None:
    async with opened(settings, for_writing=True):
        pass


def test_a_text_that_does_not_fit_any_more_is_not_put_in_force_again(both: Commands) -> None:
    before = both.records()
    done = both("policy", "rollback", FRAUD_SCHEMA="cards")
    assert done.exit_code == 2
    assert "version 1: line 4, column 25: rule large: there is no field" in done.stderr
    assert both.records() == before


def test_caps_are_shown_and_ended(both: Commands) -> None:
    assert both.done("policy", "caps") == "no cap of the policy in force has begun\n"
    for rule in ("", "large"):
        asyncio.run(capped(load(both.environment), rule))
    told = both.done("policy", "caps").splitlines()
    assert "what is blocked is flagged since" in told[0]
    assert "rule large is in test since" in told[1]
    assert [each["rule"] for each in both.json("policy", "caps")] == [None, "large"]
    assert both.done("policy", "uncap") == "the cap on all of version 2 has ended\n"
    assert [each["rule"] for each in both.json("policy", "caps")] == ["large"]
    assert both("policy", "uncap").exit_code == 1
    both.done("policy", "uncap", "large", "--author", "eve")
    assert both.json("policy", "caps") == []


def test_all_partitions_are_waited_for(run: Commands) -> None:
    file = run.file(ONE)
    done = run("policy", "apply", file, "--wait", "0")
    assert done.exit_code == 4
    assert done.stdout == "version 1 is in force\n"
    assert "partition 0: no worker has ever reported that it owns it\npartition 1" in done.stderr
    run.heartbeats({0: "1+0", 1: "flag-0.5-block-0.8"}, "host:8000")
    done = run("policy", "apply", file, "--wait", "0.1")
    assert done.exit_code == 4
    assert "partition 1: worker host:8000 reports version flag-0.5-block-0.8, " in done.stderr
    assert "partition 0" not in done.stderr
    run.heartbeats({0: "2+5"})
    run.heartbeats({1: "1+0"}, "host:8001")
    told = run.done("policy", "apply", file, "--wait", "60")
    assert "version 1 is in force on all 2 partitions, of 2 workers, after 0." in told


async def test_heartbeats_that_come_later_are_waited_for(run: Commands) -> None:
    run.environment = {**run.environment, "FRAUD_BROKER_FETCH_WAIT": "5"}
    applying = asyncio.to_thread(run, "policy", "apply", run.file(ONE), "--wait", "60")
    task = asyncio.ensure_future(applying)
    await asyncio.to_thread(run.heartbeats, {0: "1+0", 1: "1+0"})
    done = await task
    assert (done.exit_code, "on all 2 partitions, of 1 worker, after" in done.stdout) == (0, True)


def test_of_many_heartbeats_the_last_ones_count(run: Commands) -> None:
    for number in range(30):
        run.heartbeats({0: f"{number + 1}+0", 1: "1+0"})
    run.done("policy", "apply", run.file(ONE), "--wait", "10")
    done = run("policy", "apply", run.file(TWO), "--wait", "0")
    assert (done.exit_code, "partition 0" in done.stderr) == (4, False)


async def test_nobody_waits_for_ever_for_a_broker_that_does_not_answer(
    run: Commands, kafka: Server
) -> None:
    settings = load({**run.environment, "FRAUD_START_TIMEOUT": "1"})
    async with opened(settings, for_writing=True) as control, control.writer() as writer:
        kafka.pause()
        try:
            with pytest.raises(KafkaTimeoutError, match="writing to topic"):
                await writer.propose(ONE, author="alice", parent="")
            with pytest.raises(KafkaTimeoutError, match="no records of"):
                await control.read_to(1)
        finally:
            kafka.resume()


@pytest.mark.parametrize("command", [("policy", "show"), ("lists", "add", "mules", "C1")])
def test_a_broker_that_is_away_is_told_in_a_sentence(run: Commands, command: list[str]) -> None:
    url = f"kafka://127.0.0.1:{free_port()}"
    done = run(*command, FRAUD_BROKER_URL=url)
    assert done.exit_code == 1
    assert f"the broker at FRAUD_BROKER_URL={url} fails: KafkaConnectionError" in done.stderr


def test_a_second_rollback_does_not_undo_the_first(both: Commands, tmp_path: Path) -> None:
    file = tmp_path / "third.toml"
    file.write_text("flag_at = 0.1\nblock_at = 0.9\n")
    both.done("policy", "apply", str(file))
    assert both.done("policy", "rollback").startswith("rollback to 2\n")
    assert both.done("policy", "rollback").startswith("rollback to 1\n")
    assert both.done("policy", "rollback").startswith("rollback to the thresholds\n")
    assert both.done("policy", "show").endswith("flag_at = 0.5\nblock_at = 0.8\n")
