"""The page asks for the transactions of the schema that serves, and shows them, in a browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from models.schema.example import MOMENT
from models.schema.schema import Schema, named
from tests.support.chromium import chromium
from tests.support.worker import Worker
from web.examples import shown

MAX_WAIT_MS = 30_000  # ms
ROWS = 600
UNKNOWN = "\N{EN DASH}"
SHOW = "async (decision) => (await import('/static/decision.js')).show(decision)"
OWN = """
name = "own"
[fields.transaction_id]
type = "text"
role = "id"
max_length = 9
path = "head.id"
[fields.amount]
type = "amount"
unit = 0.001
currency = "elements"
path = "__proto__.list[0].amount"
description = "<b>not bold</b>"
[fields.elements]
type = "category"
values = ["<i>KWD</i>", "BHD"]
path = "__proto__.list[0].currency"
[fields.only]
type = "text"
optional = true
path = "list[0]"
[fields.channel]
type = "category"
values = ["web", "app"]
optional = true
[fields.present]
type = "flag"
optional = true
[fields.known]
type = "flag"
form = "0/1"
[fields.made]
type = "time"
format = "epoch"
role = "time"
[fields.sent]
type = "time"
format = "epoch_ms"
[fields.day]
type = "time"
format = "iso8601"
optional = true
[fields.count]
type = "number"
whole = true
default = 7
[fields.fraud]
type = "flag"
role = "label"
default = false
[features]
log_amount = { log = "amount" }
present = { one_hot = "present" }
"""

OfSchema = Callable[[str], Worker]


@pytest.fixture
def of_schema(new_worker: Callable[..., Worker], tmp_path: Path) -> OfSchema:
    """Starts a worker for a schema, which trains its model on messages like the examples."""

    def start(schema: str) -> Worker:
        file = tmp_path / "training.jsonl"
        file.write_bytes(b"\n".join(training(named(schema))))
        return new_worker(FRAUD_SCHEMA=schema, FRAUD_TRAINING_FILE=str(file))

    return start


def training(schema: Schema) -> Iterator[bytes]:
    """Messages like the examples, one an hour, with amounts by which fraud can be told."""
    definition = schema.definition
    time, label = str(definition.role("time")), str(definition.role("label"))
    for number, each in enumerate(islice(cycle(shown(schema)), ROWS)):
        at, is_fraud = MOMENT + timedelta(hours=number), number % 7 == 0
        fields = msgspec.to_builtins(each.transaction) | {
            "transaction_id": f"r{number}",
            "amount": 5_000.0 + number if is_fraud else 10.0 + number % 90,
            time: at.isoformat() if definition.fields[time].format == "iso8601" else at.timestamp(),
            label: int(is_fraud) if definition.fields[label].form == "0/1" else is_fraud,
        }
        yield schema.encode(msgspec.convert(fields, schema.transaction))


def opened(browser: Browser, worker: Worker, complaints: list[str], width: int = 1280) -> Page:
    page = browser.new_context(
        viewport={"width": width, "height": 900}, timezone_id="Asia/Kolkata"
    ).new_page()
    page.set_default_timeout(MAX_WAIT_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "olicy" in line.text else None)
    page.goto(f"{worker.url}/stats")
    expect(page.locator("#status")).to_have_text("Live", timeout=MAX_WAIT_MS)
    return page


def send(page: Page) -> tuple[dict[str, Any], Locator]:
    """The message that the form sends, and the dialog with its decision."""
    with page.expect_request("**/transactions?wait_seconds=10") as sent:
        page.get_by_role("button", name="Send and wait").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible(timeout=MAX_WAIT_MS)
    return dict(json.loads(sent.value.post_data or "")), dialog


def fact(dialog: Locator, name: str) -> Locator:
    """What the dialog says of a field."""
    return dialog.locator(f"dt:text-is('{name}') + dd")


def test_a_card_payment_is_filled_in_sent_and_shown(of_schema: OfSchema) -> None:
    worker = of_schema("cards")
    complaints: list[str] = []
    with chromium() as browser:
        page = opened(browser, worker, complaints)
        expect(page.get_by_label("is_fraud")).to_have_count(0)
        expect(page.get_by_label("terminal_id")).to_have_attribute(
            "title", "the terminal or the merchant"
        )
        page.get_by_role("button", name="Another").click()
        expect(page.get_by_label("terminal_id")).to_have_value("T-777")
        page.get_by_role("button", name="Example").click()
        expect(page.get_by_label("at", exact=True)).to_have_value("2026-03-02T12:44:05")
        page.get_by_label("category").fill("")
        message, dialog = send(page)
        id_ = message.pop("transaction_id")
        assert id_.startswith("test-")
        assert message == {
            "at": "2026-03-02T07:14:05.000Z",
            "customer_id": "C-17",
            "terminal_id": "T-204",
            "amount": 23.9,
            "currency": "EUR",
        }
        expect(fact(dialog, "amount")).to_have_text("23.90 EUR")
        expect(fact(dialog, "at")).to_have_text("02/03/2026, 12:44:05")
        expect(fact(dialog, "category")).to_have_text(UNKNOWN)
        expect(fact(dialog, "customer_id")).to_have_text("C-17")
        page.get_by_role("button", name="Close").click()
        page.get_by_label("amount").fill("")
        page.get_by_role("button", name="Send and wait").click()
        expect(page.locator("#try-answer")).to_contain_text("amount: ")
        # A blocked one has a row, in which what is not known is a dash.
        page.get_by_role("button", name="Example").click()
        page.get_by_label("category").fill("")
        page.get_by_label("amount").fill("9000.5")
        send(page)
        page.get_by_role("button", name="Close").click()
        row = page.locator("#blocked tbody tr", has_text="9,000.50")
        expect(row.locator("[data-label=Type]")).to_have_text(UNKNOWN)
        status, decision = worker.get(f"/transaction/{id_}/status")
        assert (status, decision["transaction"]["category"]) == (200, None)
        # What is there is shown, also of a transaction of an earlier schema.
        earlier = {"transaction_id": id_, "step": 7, "amount": "all", "at": None}
        page.evaluate(SHOW, decision | {"transaction": earlier})
        for name, text in {"step": "7", "amount": "all", "at": UNKNOWN}.items():
            expect(fact(dialog, name)).to_have_text(text)
        expect(fact(dialog, "customer_id")).to_have_count(0)
    assert complaints == []


def test_a_credit_transfer_is_sent_as_deep_as_its_message_is(of_schema: OfSchema) -> None:
    worker = of_schema("pacs008")
    complaints: list[str] = []
    with chromium() as browser:
        page = opened(browser, worker, complaints, width=375)
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        page.get_by_label("remittance").fill("")
        message, dialog = send(page)
        transfer = message["FIToFICstmrCdtTrf"]
        (only,) = transfer["CdtTrfTxInf"]
        assert transfer["GrpHdr"] == {"CreDtTm": "2026-03-02T07:14:05.000Z"}
        assert only["IntrBkSttlmAmt"] == {"#text": 1250, "@Ccy": "EUR"}
        assert only["DbtrAcct"] == {"Id": {"IBAN": "DE49999999990000000017"}}
        assert "RmtInf" not in only
        expect(fact(dialog, "amount")).to_have_text("1,250.00 EUR")
        expect(fact(dialog, "debtor_account")).to_have_text(UNKNOWN)
        expect(fact(dialog, "charge_bearer")).to_have_text("SLEV")
        page.get_by_role("button", name="Close").click()
        page.get_by_label("amount").fill("")
        page.get_by_role("button", name="Send and wait").click()
        expect(page.locator("#try-answer")).to_contain_text("amount: ")
        expect(page.locator("#try-answer")).not_to_contain_text("#text")
        page.goto(f"{worker.url}/docs")
        operation = page.locator(".opblock-post", has_text="/transactions")
        operation.locator(".opblock-summary").click()
        expect(operation.locator("textarea").first).to_have_value(re.compile("FIToFICstmrCdtTrf"))
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table")
        expect(answer).to_contain_text("00000000-0000-4000-8000-000000000001")
    assert complaints == []
    status, decision = worker.get(f"/transaction/{only['PmtId']['UETR']}/status")
    assert (status, decision["transaction"]["amount"]) == (200, 1250.0)


def test_a_schema_of_ones_own_has_a_form_of_its_own(of_schema: OfSchema, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    worker = of_schema(str(file))
    complaints: list[str] = []
    with chromium() as browser:
        page = opened(browser, worker, complaints)
        assert page.locator("#try b, #try i").count() == 0
        heads = page.locator("#blocked th:visible")
        expect(heads).to_have_text(["Transaction", "Time", "Score", "Reasons"])
        page.get_by_label("amount").fill("12.5")
        page.get_by_label("channel").select_option("")
        page.get_by_label("present").select_option("")
        page.get_by_label("day").fill("")
        page.get_by_label("count").fill("")
        page.get_by_label("known").check()
        message, dialog = send(page)
        assert len(message["head"]["id"]) <= 9
        moment = MOMENT.timestamp()
        assert message == {
            "head": message["head"],
            "__proto__": {"list": [{"amount": 12.5, "currency": "<i>KWD</i>"}]},
            "list": ["only"],
            "known": 1,
            "made": moment,
            "sent": moment * 1_000,
        }
        expect(fact(dialog, "amount")).to_have_text("12.500 <i>KWD</i>")
        for name in ("made", "sent"):
            expect(fact(dialog, name)).to_have_text("04/03/2026, 10:36:07")
        expect(fact(dialog, "count")).to_have_text("7")
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Example").click()
        page.get_by_label("present").select_option("true")
        message, dialog = send(page)
        assert message["present"] is True
        assert message["day"] == "2026-03-04T05:06:07.000Z"
        expect(fact(dialog, "present")).to_have_text("true")
    assert complaints == []
