"""Labels are told by the file, shown, and sent back when they were rejected."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from fraudapp.commands.labels import command
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.messages.publish import publish_dead_letters
from fraudapp.settings import Settings, load
from models.inputs import Input, Position, Rejection
from models.key_hash import key_partitions
from tests.support.commanding import Commands
from tests.support.readback import in_topic

PARTITIONS: Final = 4
HEADER: Final = "transaction_id,label,source,at,by\n"
GOOD: Final = "a,1,chargeback,2026-04-01T08:00:00Z,network\n"
TOLD: Final[dict[str, Any]] = {
    "transaction_id": "a",
    "label": 1,
    "source": "chargeback",
    "at": "2026-04-01T08:00:00Z",
    "by": "network",
}


@pytest.fixture
def run(
    kafka: Server, topics: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    for name in [name for name in os.environ if name.startswith("FRAUD_")]:
        monkeypatch.delenv(name)
    environment = {**topics, "FRAUD_BROKER_URL": kafka.url}
    asyncio.run(kafka_topics.ensure(load(environment)))
    return Commands(environment, tmp_path)


def told(run: Commands) -> list[dict[str, Any]]:
    """What the topic has, by key partition and offset; every record is where it has to be."""
    records = asyncio.run(in_topic(run.environment, "labels"))
    found = [json.loads(each.value) for each in records]
    keys = [each.key.decode() for each in records]
    assert keys == [each["transaction_id"] for each in found]
    assert [each.partition for each in records] == key_partitions(keys, PARTITIONS)
    return found


def published(run: Commands, text: str, *options: str, name: str = "labels.csv") -> Result:
    return run("labels", "publish", run.file(text, name), "--quiet", *options)


def test_the_labels_of_a_file_are_sent_and_shown(run: Commands) -> None:
    done = published(run, f"{HEADER}{GOOD}b,0,analyst,2026-04-01T10:00:00+02:00,ann\n")
    assert (done.exit_code, done.stdout) == (0, "2 labels sent\n")
    found = sorted(told(run), key=lambda each: str(each["transaction_id"]))
    other = {"label": 0, "source": "analyst", "by": "ann"}
    assert found == [TOLD, {**TOLD, **other, "transaction_id": "b"}]
    assert run.done("labels", "show", "a").splitlines() == [
        "a: fraud, by chargeback",
        "source      label  at                         by",
        "chargeback  fraud  2026-04-01T08:00:00+00:00  network",
    ]


def test_lines_of_json_lack_what_the_options_say(run: Commands) -> None:
    lines = (
        '{"transaction_id": "a", "label": true}\n{"transaction_id": "b", "label": 0, "by": "x"}\n'
    )
    options = "--source", "confirmed", "--by", "me"
    assert published(run, lines, *options, name="labels.jsonl").exit_code == 0
    found = {each["transaction_id"]: each for each in told(run)}
    assert {(each["source"], each["label"], each["by"]) for each in found.values()} == {
        ("confirmed", 1, "me"),
        ("confirmed", 0, "x"),
    }
    assert found["a"]["at"] == found["b"]["at"]  # the moment of the command


def test_the_standard_input_is_read(run: Commands) -> None:
    arguments = ["publish", "-", "--quiet"]
    done = CliRunner().invoke(command, arguments, input=HEADER + GOOD, env=run.environment)
    assert (done.exit_code, done.stdout) == (0, "1 labels sent\n")


def test_after_a_wrong_line_nothing_is_sent_and_all_are_told(run: Commands) -> None:
    text = f"{HEADER}{GOOD}a,2,me,now,\n{GOOD},1,analyst,2026-04-01T08:00:00,x\n"
    done = published(run, text)
    assert (done.exit_code, told(run)) == (1, [TOLD])
    assert "labels.csv, line 3, row 2: label: '2' is not a flag" in done.stderr
    assert "labels.csv, line 5, row 4: transaction_id: " in done.stderr
    assert "at: expected `datetime` with a timezone" in done.stderr
    assert "1 labels were sent; 2 rows are invalid and were not" in done.stderr
    assert "nor were 1 valid ones after the first of them" in done.stderr
    done = published(run, text, "--skip-invalid")
    assert (done.exit_code, len(told(run))) == (1, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "holds no labels"),
        ("transaction_id,label\na,1\n", "column source, by is missing"),
        ("transaction_id,lable,source,by\na,1,analyst,x\n", "is no column of a label: write label"),
    ],
)
def test_a_file_without_labels_is_no_success(run: Commands, text: str, said: str) -> None:
    done = published(run, text)
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    assert told(run) == []


@pytest.mark.parametrize("options", [("--source", "me"), ("--by", "\x07"), ("--by", "x" * 129)])
def test_options_that_no_label_can_have_are_refused(run: Commands, options: tuple[str]) -> None:
    assert published(run, HEADER + GOOD, *options).exit_code == 2
    assert told(run) == []


def test_what_counts_is_shown_with_all_that_was_said(run: Commands) -> None:
    rows = [
        *("a,1,chargeback,2026-04-01T08:00:00Z,network", "a,1,analyst,2026-03-05T08:00:00Z,ann"),
        *("b,1,confirmed,2026-04-01T08:00:00Z,court", "a,0,analyst,2026-03-06T08:00:00Z,bob"),
    ]
    published(run, HEADER + "\n".join(rows) + "\n")
    lines = run.done("labels", "show", "a").splitlines()
    assert lines[0] == "a: fraud, by chargeback; the sources disagree"
    assert [each.split()[0] for each in lines[2:]] == ["chargeback", "analyst"]
    (shown,) = run.json("labels", "show", "a")
    assert {name: shown[name] for name in ("transaction_id", "label", "source", "conflicting")} == {
        "transaction_id": "a",
        "label": 1,
        "source": "chargeback",
        "conflicting": True,
    }
    assert shown["labels"]["analyst"]["by"] == "bob"
    missing = run("labels", "show", "c\x07")
    assert (missing.exit_code, missing.stderr) == (1, "Error: no label of c\\x07 was told\n")


def test_a_broker_or_a_topic_that_is_not_there_is_told(run: Commands) -> None:
    done = run("labels", "show", "a", FRAUD_LABELS_TOPIC="absent")
    assert (done.exit_code, "there is no topic absent" in done.stderr) == (1, True)


async def _reject(settings: Settings, *rejected: tuple[bytes, bytes, int]) -> None:
    producer = BatchProducer(settings)
    await producer.start()
    rejections = [
        Rejection(Input(key, raw, position, position), "invalid", "because")
        for number, (key, raw, partition) in enumerate(rejected)
        for position in [Position(settings.labels_topic, partition, number)]
    ]
    await publish_dead_letters(producer, settings.dead_letters_topic, rejections)
    await producer.stop()


def test_labels_that_were_rejected_go_back_to_their_own_topic(run: Commands) -> None:
    settings = load(run.environment)
    wrong = json.dumps({**TOLD, "label": 2}).encode()
    asyncio.run(_reject(settings, (b"a", wrong, 0), (b"other", json.dumps(TOLD).encode(), 1)))
    letters = {each["source"]: each for each in run.json("dead-letters", "list")}
    assert {each["topic"] for each in letters.values()} == {settings.labels_topic}
    name = letters["0:0"]["name"]
    still = run("dead-letters", "replay", name, "--value", wrong.decode())
    assert (still.exit_code, still.stderr.startswith("Error: the repaired value")) == (1, True)
    assert "label: must be 0 or 1" in still.stderr
    repaired = json.dumps({**TOLD, "label": 0})
    assert run.done("dead-letters", "replay", name, "--value", repaired) == "1 messages sent\n"
    assert told(run) == [{**TOLD, "label": 0}]
    assert run("dead-letters", "replay", "--all").exit_code == 0
    records = asyncio.run(in_topic(run.environment, "labels"))
    assert sorted((each.key, each.value) for each in records) == sorted(
        [(b"a", repaired.encode()), (b"a", wrong), (b"other", json.dumps(TOLD).encode())]
    )
    # By the id in the value where there is one, else by the key: both are those of `a`.
    assert {each.partition for each in records} == {*key_partitions(["a"], PARTITIONS)}
    assert asyncio.run(in_topic(run.environment, "transactions")) == []
