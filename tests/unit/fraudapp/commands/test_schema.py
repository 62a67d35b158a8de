"""`schema`: presets are listed and shown, files are checked, and drafts hold for their samples."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from fraudapp.cli.transaction_files import read_file
from fraudapp.commands import schema
from models.records import Transaction
from models.schema import presets
from models.schema.schema import load, preset

EXAMPLES = Path(presets.__file__).parent / "examples"


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(schema.command, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_each_preset_is_listed_with_its_numbers() -> None:
    lines = run("list").output.splitlines()
    assert [line.split()[0] for line in lines] == presets.names()
    for line in lines:
        definition = preset(line.split()[0]).definition
        fields, features = len(definition.fields), len(definition.features)
        assert line.split()[1:5] == [str(fields), "fields", str(features), "features"]
        assert line.endswith(str(definition.description))


def test_a_preset_is_shown_as_it_is_and_can_be_begun_with(tmp_path: Path) -> None:
    done = run("show", "cards")
    assert done.stdout_bytes == presets.content("cards")
    own = tmp_path / "own.toml"
    own.write_bytes(done.stdout_bytes)
    assert run("show", own).stdout_bytes == presets.content("cards")


@pytest.mark.parametrize("name", presets.names())
def test_the_examples_are_valid(name: str) -> None:
    done = run("check", name, EXAMPLES / f"{name}.jsonl")
    assert (done.exit_code, done.output) == (0, "valid=10 invalid=0\n")


def test_a_schema_alone_is_checked() -> None:
    done = run("check", "cards")
    assert done.exit_code == 0
    assert preset("cards").contract in done.output


@pytest.mark.parametrize("command", ["check", "show"])
def test_what_is_wrong_in_a_file_is_said(command: str, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(presets.content("cards").replace(b'log = "amount"', b'log = "amont"'))
    done = run(command, path)
    assert done.exit_code == 1
    assert "own.toml: features.log_amount: log of 'amont'" in done.output
    assert "is it amount?" in done.output


def test_who_misspells_a_preset_is_told_their_names() -> None:
    done = run("show", "card")
    assert done.exit_code == 1
    assert "card: there is no such file" in done.output
    assert f"presets are {', '.join(presets.names())}" in done.output


def test_the_first_invalid_messages_are_shown_with_line_and_field(tmp_path: Path) -> None:
    valid = (EXAMPLES / "cards.jsonl").read_text().splitlines()[0]
    invalid = json.dumps(json.loads(valid) | {"amount": "\x1b[31m"})
    path = tmp_path / "sample.jsonl"
    path.write_text("\n".join([valid, *[invalid] * 12]))
    done = run("check", "cards", path)
    assert done.exit_code == 1
    assert "valid=1 invalid=12\n" in done.output
    shown = [line for line in done.output.splitlines() if "amount: expected a number" in line]
    assert len(shown) == schema.MAX_FAULTS
    assert shown[0].startswith(f"{path}, line 2, row 2: ")
    assert "\x1b" not in done.output


def test_a_draft_holds_for_its_sample(tmp_path: Path) -> None:
    for each in EXAMPLES.iterdir():
        done = run("infer", each, "--name", "mine")
        assert done.exit_code == 0
        draft = tmp_path / "draft.toml"
        draft.write_bytes(done.stdout_bytes)
        assert run("check", draft, each).output == "valid=10 invalid=0\n"
        assert run("check", draft).output.startswith("mine is a schema: ")


def test_a_draft_is_made_of_the_first_messages(tmp_path: Path) -> None:
    path = tmp_path / "9 big-sample.jsonl"
    path.write_text('{"id": "a", "x": 1.5}\n{"id": "b", "x": 2.5}\n{"id": "c"}\n')
    done = run("infer", path, "--limit", 2)
    assert "guessed from 2 messages" in done.output
    assert 'name = "big_sample"' in done.output
    assert "optional" not in done.output.partition("name =")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("infer", "{path}"), "sample.jsonl: line 1: not valid JSON"),
        (("infer", "{path}.absent"), "sample.jsonl.absent cannot be read: No such file"),
        (("check", "cards", "{path}.absent"), "sample.jsonl.absent cannot be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_text("no json\n")
    done = run(*(each.format(path=path) for each in arguments))
    assert done.exit_code == 1
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_sample_of_blank_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_text("\n\n")
    done = run("check", "cards", path)
    assert done.exit_code == 1
    assert "sample.jsonl is empty" in done.output


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_draft_of_a_table_holds_for_it_and_its_rows_can_be_published(
    tmp_path: Path, separator: str
) -> None:
    path, draft = tmp_path / "payments.csv", tmp_path / "draft.toml"
    lines = ["step,amount,is_fraud,debtor.iban", "1,5.5,0,DE1", "2,7,1,", "3,9.25,1.0,DE2"]
    path.write_text("\n".join(lines).replace(",", separator) + "\n")
    draft.write_bytes(run("infer", path).stdout_bytes)
    assert run("check", draft, path).output == "valid=3 invalid=0\n"
    found = [*read_file(path, "payments", load(draft))]
    assert [each.transaction_id for each in found if isinstance(each, Transaction)] == [
        "payments-1",
        "payments-2",
        "payments-3",
    ]


def test_parquet_is_checked_and_drafted(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (EXAMPLES / "cards.jsonl").read_text().splitlines()]
    path, draft = tmp_path / "cards.parquet", tmp_path / "draft.toml"
    frame = pd.DataFrame(rows)
    for name in ("transaction_id", "customer_id", "terminal_id", "category", "amount"):
        frame[name] = frame[name].map(str, na_action="ignore")  # Parquet's columns have one type
    frame["amount"] = frame["amount"].astype(float)
    frame["at"] = pd.to_datetime(frame["at"], format="ISO8601", utc=True)
    frame.to_parquet(path)
    assert run("check", "cards", path).output == "valid=10 invalid=0\n"
    draft.write_bytes(run("infer", path).stdout_bytes)
    assert run("check", draft, path).output == "valid=10 invalid=0\n"
    frame.loc[6, "amount"] = -1
    frame.to_parquet(path)
    done = run("check", "cards", path)
    assert done.exit_code == 1
    assert f"{path}, row 7: amount: " in done.output
    path.write_bytes(b"PAR1")
    assert "cards.parquet: is no Parquet, or it is damaged" in run("infer", path).output
