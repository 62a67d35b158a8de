"""The schemas that come with the program, and ten made-up messages of each."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.parsing import InvalidTransaction
from models.schema import presets
from models.schema.definition import operation
from models.schema.features import OTHERS, Features
from models.schema.schema import Schema, preset

EXAMPLES = Path(presets.__file__).parent / "examples"
NAMES = presets.names()


def lines(name: str) -> list[bytes]:
    return (EXAMPLES / f"{name}.jsonl").read_bytes().splitlines()


def transactions(schema: Schema) -> list[Any]:
    return [schema.parser.parse(line) for line in lines(schema.name)]


def facts(schema: Schema) -> Sequence[Any]:
    """The examples with values of profiles; of the second, nothing is known."""
    made = transactions(schema)
    names = schema.definition.profile
    known = [dict.fromkeys(names, at / 16) if at != 1 else {} for at in range(len(made))]
    return schema.with_profiles(made, known)


def taught(schema: Schema) -> Features:
    """Features that know every text, as after training."""
    learned = {name: {OTHERS: 0.25} for name, _ in schema.features.learned}
    return Features(schema.definition, learned)


def sentences(schema: Schema, sense: float = 1.0) -> list[list[tuple[str, str]]]:
    """The code and the text of all reasons of each example, all of which have one sense."""
    made = facts(schema)
    groups = len(schema.definition.reasons)
    return [
        [
            (reason.code, reason.text)
            for reason in schema.reasons.strongest(each, row.tolist(), [sense] * groups, groups)
        ]
        for each, row in zip(made, taught(schema).matrix(made), strict=True)
    ]


def test_there_are_examples_of_each_preset_and_of_nothing_else() -> None:
    assert sorted(each.stem for each in EXAMPLES.iterdir()) == NAMES
    assert {"cards", "pacs008", "paysim"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_valid_and_has_an_id_of_its_own(name: str) -> None:
    ids = [each.transaction_id for each in transactions(preset(name))]
    assert len({*ids}) == len(ids) == 10


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_is_missing_where_its_field_is_and_else_a_number(name: str) -> None:
    schema = preset(name)
    made = facts(schema)
    matrix = taught(schema).matrix(made)
    assert not np.isinf(matrix).any()
    for column, (feature, each) in enumerate(schema.definition.features.items()):
        kind, fields = operation(each)
        for row, transaction in enumerate(made):
            unknown = any(getattr(transaction, field) is None for field in fields)
            expected = unknown and kind not in ("missing", "one_hot")
            assert np.isnan(matrix[row, column]) == expected, (feature, row)


@pytest.mark.parametrize("name", NAMES)
def test_no_feature_is_the_same_in_all_examples(name: str) -> None:
    schema = preset(name)
    matrix = schema.features.matrix(facts(schema))
    learned = {feature for feature, _ in schema.features.learned}
    for column, feature in enumerate(schema.features.names):
        assert feature in learned or len(np.unique(matrix[:, column])) > 1, feature


@pytest.mark.parametrize("sense", [1.0, -1.0])
@pytest.mark.parametrize("name", NAMES)
def test_reasons_are_whole_sentences(name: str, sense: float) -> None:
    for each in sentences(preset(name), sense):
        for code, text in each:
            assert code == code.upper()
            assert text[0].isupper(), text
            assert text.endswith("."), text
            assert not {*"{}"} & {*text}, text
            assert "None" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_reason_has_one_code_and_another_sentence_in_each_sense(name: str) -> None:
    schema = preset(name)
    for raising, lowering in zip(sentences(schema), sentences(schema, -1.0), strict=True):
        assert [code for code, _ in raising] == [code for code, _ in lowering]
        assert not {text for _, text in raising} & {text for _, text in lowering}


@pytest.mark.parametrize("name", ["cards", "pacs008"])
def test_every_sentence_is_a_reason_of_some_example(name: str) -> None:
    schema = preset(name)
    codes = {says.code for reason in schema.definition.reasons for says in reason.says}
    assert {code for each in sentences(schema) for code, _ in each} == codes


def test_what_is_said_of_a_card_payment() -> None:
    assert [text for _, text in sentences(preset("cards"))[2]] == [
        "The card spends 15,192.0 times its usual amount: 1,899.00.",
        "The card was used 0 times in the day before.",
        "Frauds with the card in the 14 days before: 0.",
        "Of the terminal's payments 7 to 37 days ago, 12% were fraud.",
        "The card was used at 2026-03-02 23:58:12+00:00.",
        "The merchant's category is electronics.",
    ]


def test_what_is_said_against_fraud_with_a_card_payment() -> None:
    assert [text for _, text in sentences(preset("cards"), -1.0)[2]] == [
        "That the card spends 15,192.0 times its usual amount, 1,899.00, speaks against fraud.",
        "The card was used no more than 0 times in the day before.",
        "Frauds with the card in the 14 days before: no more than 0.",
        "Of the terminal's payments 7 to 37 days ago, no more than 12% were fraud.",
        "That the card was used at 2026-03-02 23:58:12+00:00 speaks against fraud.",
        "That the merchant's category is electronics speaks against fraud.",
    ]


def test_what_is_said_of_a_credit_transfer() -> None:
    assert [text for _, text in sentences(preset("pacs008"))[2]] == [
        "The amount is 49,000.00 EUR.",
        "The message was made at 2026-03-02 09:01:30+00:00.",
        "The debtor bears all charges.",
        "The BIC of the creditor's bank is TESTHKHH.",
        "The creditor's account is given without an IBAN.",
        "The debtor's account has an IBAN.",
        "No purpose is given.",
        "The creditor is not told what it is for.",
    ]


def test_who_bears_the_charges_is_said_as_it_is_sent() -> None:
    schema = preset("pacs008")
    sent = [f"CHARGES_{each.charge_bearer}" for each in transactions(schema)]
    said = [code for each in sentences(schema) for code, _ in each if code.startswith("CHARGES_")]
    assert said == sent


def test_rows_of_the_data_sets_that_share_the_form_are_cards() -> None:
    schema = preset("cards")
    handbook = {
        "transaction_id": 0,
        "at": "2018-04-01 00:00:31",
        "customer_id": 596,
        "terminal_id": 3156,
        "amount": 57.16,
        "is_fraud": 0,
    }
    made = schema.parser.parse(json.dumps(handbook).encode())
    assert (made.transaction_id, made.customer_id, made.category) == ("0", "596", None)
    assert made.at.isoformat() == "2018-04-01T00:00:31+00:00"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"GrpHdr": {"CreDtTm": "yesterday"}}, "GrpHdr.CreDtTm"),
        ({"GrpHdr": {}}, "GrpHdr.CreDtTm"),
        ({"CdtTrfTxInf": []}, "CdtTrfTxInf"),
        ({"CdtTrfTxInf": [{}, {}]}, "CdtTrfTxInf"),
        ({"CdtTrfTxInf": {}}, "CdtTrfTxInf"),
    ],
)
def test_a_broken_credit_transfer_is_refused_with_the_place(
    change: dict[str, Any], place: str
) -> None:
    message = json.loads(lines("pacs008")[0])
    message["FIToFICstmrCdtTrf"] |= change
    with pytest.raises(InvalidTransaction) as caught:
        preset("pacs008").parser.parse(json.dumps(message).encode())
    fields = [error.field for error in caught.value.errors]
    assert any(field.startswith(f"FIToFICstmrCdtTrf.{place}") for field in fields)


@pytest.mark.parametrize("amount", ["1,250.00", "-1", "EUR 5", "", "1e400", None])
def test_an_amount_in_text_has_to_be_a_number(amount: str | None) -> None:
    message = json.loads(lines("pacs008")[0])
    message["FIToFICstmrCdtTrf"]["CdtTrfTxInf"][0]["IntrBkSttlmAmt"]["#text"] = amount
    with pytest.raises(InvalidTransaction, match=r"IntrBkSttlmAmt\.#text"):
        preset("pacs008").parser.parse(json.dumps(message).encode())


@pytest.mark.parametrize("name", NAMES)
def test_another_process_gets_the_same_schema(name: str) -> None:
    ours = preset(name)
    theirs = pickle.loads(pickle.dumps(ours))
    assert (theirs.version, theirs.contract) == (ours.version, ours.contract)
    assert theirs.profile_version == ours.profile_version
    assert theirs.definition == ours.definition
