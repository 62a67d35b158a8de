"""Credit transfers are what the preset reads, belong to nobody, and hide some of their fraud."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.pacs008.banks import BANKS, iban, remainder
from data.pacs008.generator import Message, generate
from data.pacs008.plan import MOST, Plan
from data.pacs008.simulation import CAUSES, Cause
from models.schema import presets
from models.schema.schema import preset

PACS008 = preset("pacs008")
PLAN = Plan(rows=4_000, days=28, fraud_rate=0.05)


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(generate(PLAN))


def transfer(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = message.content["FIToFICstmrCdtTrf"]["CdtTrfTxInf"][0]
    return found


def shape(value: Any, place: str = "") -> set[str]:
    """The places of a message that hold a value."""
    if isinstance(value, dict):
        return set().union(*(shape(each, f"{place}.{key}") for key, each in value.items()))
    if isinstance(value, list):
        return set().union(*(shape(each, f"{place}[]") for each in value))
    return {place}


def test_messages_are_valid_have_the_shape_of_the_examples_and_come_in_order_of_time(
    messages: list[Message],
) -> None:
    examples = [msgspec.json.decode(line) for line in presets.examples("pacs008")]
    known = set().union(*map(shape, examples)) | {".is_fraud"}
    read = [PACS008.parser.parse(msgspec.json.encode(each.content)) for each in messages]
    assert len(read) == PLAN.rows
    assert set().union(*(shape(each.content) for each in messages)) <= known
    assert len({each.transaction_id for each in read}) == PLAN.rows
    assert {uuid.UUID(each.transaction_id).version for each in read} == {4}
    times = [each.created_at for each in read]
    assert times == sorted(times)
    assert times[0].date() == PLAN.start
    assert times[-1].date() == PLAN.start + timedelta(days=PLAN.days - 1)
    days = [date.fromisoformat(transfer(each)["IntrBkSttlmDt"]) for each in messages]
    assert days == [each.date() for each in times]


def test_the_same_plan_gives_the_same_messages_and_another_seed_none_of_them(
    messages: list[Message],
) -> None:
    assert list(generate(PLAN)) == messages
    other = generate(Plan(seed=21, rows=PLAN.rows, days=PLAN.days))
    assert not {str(each) for each in other} & {str(each) for each in messages}


def test_fraud_is_as_frequent_as_planned_and_labelled(messages: list[Message]) -> None:
    assert sum(each.content["is_fraud"] for each in messages) == PLAN.frauds == 200
    assert all(each.content["is_fraud"] == (each.cause != Cause.NONE) for each in messages)
    assert {each.cause for each in messages} == {Cause.NONE, *CAUSES}


def test_nobody_pays_to_the_account_that_it_is_paid_from(messages: list[Message]) -> None:
    for each in messages:
        assert transfer(each)["DbtrAcct"] != transfer(each)["CdtrAcct"]


def test_the_banks_are_of_nobody_and_their_ibans_are_valid(messages: list[Message]) -> None:
    lengths = {"DE": 22, "NL": 18, "AT": 20, "LU": 20, "IE": 22, "GB": 22, "CH": 21, "LT": 20}
    lengths["MT"] = 31
    seen = Counter[str]()
    for each in messages:
        found = transfer(each)
        for side in ("Dbtr", "Cdtr"):
            bic = found[f"{side}Agt"]["FinInstnId"]["BICFI"]
            account = found[f"{side}Acct"]["Id"]
            assert re.fullmatch(r"[A-Z]{6}[A-Z2-9]0", bic)
            seen[bic] += 1
            if "IBAN" not in account:
                assert bic[4:6] == "US"
                continue
            country = account["IBAN"][:2]
            assert country == bic[4:6]
            assert len(account["IBAN"]) == lengths[country]
            assert remainder(account["IBAN"][4:] + account["IBAN"][:4]) == 1
    assert seen.keys() == {bank.bic for bank in BANKS}


def test_check_digits_are_those_of_a_published_iban() -> None:
    # The example of the register of IBANs for the United Kingdom.
    assert iban("GB", "NWBK60161331926819") == "GB29NWBK60161331926819"


@given(account=st.text("0123456789ABCXYZ", min_size=1, max_size=30))
def test_an_iban_has_the_remainder_1(account: str) -> None:
    made = iban("DE", account)
    assert remainder(made[4:] + made[:4]) == 1
    assert made[2:4].isdigit()


def test_charges_follow_the_scheme_within_the_euro_only(messages: list[Message]) -> None:
    for each in messages:
        found = transfer(each)
        inside = all(
            found[f"{side}Agt"]["FinInstnId"]["BICFI"][4:6] not in ("US", "GB", "CH")
            for side in ("Dbtr", "Cdtr")
        )
        assert (found["ChrgBr"] == "SLEV") == inside
        assert found["IntrBkSttlmAmt"]["@Ccy"] in ("EUR", "GBP", "CHF", "USD")


def test_each_cause_has_its_traits_and_honest_payments_have_them_too() -> None:
    made = list(generate(Plan(rows=20_000, fraud_rate=0.5)))
    by_cause = {
        cause: [each for each in made if each.cause == cause] for cause in (Cause.NONE, *CAUSES)
    }

    def share(cause: Cause, trait: str) -> float:
        return sum(trait in traits(each) for each in by_cause[cause]) / len(by_cause[cause])

    for cause, trait in (
        (Cause.PUSH, "silent"),
        (Cause.PUSH, "INVS"),
        (Cause.TAKEOVER, "night"),
        (Cause.TAKEOVER, "silent"),
        (Cause.INVOICE, "large"),
        *((each, "small bank") for each in CAUSES),
    ):
        assert share(cause, trait) > 3 * share(Cause.NONE, trait) > 0, (cause, trait)
    assert share(Cause.INVOICE, "night") < 0.05
    assert share(Cause.INVOICE, "silent") < 0.15


def traits(message: Message) -> set[str]:
    found = transfer(message)
    at = datetime.fromisoformat(
        message.content["FIToFICstmrCdtTrf"]["GrpHdr"]["CreDtTm"].removesuffix("Z")
    )
    every = {
        "silent": "RmtInf" not in found,
        "night": at.hour < 6,
        "large": float(found["IntrBkSttlmAmt"]["#text"]) > 8_000,
        "small bank": found["CdtrAgt"]["FinInstnId"]["BICFI"][4:6] in ("LT", "MT"),
        found.get("Purp", {}).get("Cd", ""): True,
    }
    return {name for name, has in every.items() if has}


@pytest.mark.parametrize("rows", [0, 1, 2, 50])
def test_a_small_plan_has_exactly_so_many_rows(rows: int) -> None:
    assert len(list(generate(Plan(rows=rows, days=1)))) == rows


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_all_or_none_may_be_fraud(rate: float) -> None:
    made = list(generate(Plan(rows=300, fraud_rate=rate)))
    assert {each.content["is_fraud"] for each in made} == {int(rate)}


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"rows": -1}, {"rows": MOST + 1}, {"days": 0}, {"days": 10**9}]
    + [{"fraud_rate": each} for each in (-0.1, 1.1, float("nan"))],
)
def test_a_parameter_out_of_bounds_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(options))}="):
        Plan(**options)
