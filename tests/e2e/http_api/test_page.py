"""The page as a person sees it, in a browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from fraudapp.local.processes import POLL_INTERVAL
from tests.support.chromium import chromium
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker

REFRESH_MS = 2_000  # ms, as promised; a loaded machine gets more
MAX_WAIT_MS = 30_000  # ms


@pytest.fixture(scope="module")
def browser(worker: Worker) -> Iterator[Browser]:
    """A browser; the worker comes first, since it is started by a coroutine."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(worker: Worker, browser: Browser) -> Iterator[Page]:
    """The stats page, live; anything that the browser complains about fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(MAX_WAIT_MS)
    complaints: list[str] = []
    listen(page, complaints)
    page.goto(f"{worker.url}/stats")
    expect(page.locator("#status")).to_have_text("Live", timeout=MAX_WAIT_MS)
    yield page
    context.close()
    assert complaints == []


def listen(page: Page, complaints: list[str]) -> None:
    """Note exceptions, and what the Content-Security-Policy has refused."""
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "olicy" in line.text else None)


def decide(worker: Worker, id_: str, **changes: Any) -> None:
    status, decision = worker.post(
        "/transactions?wait_seconds=30", encoded(transaction(id_, **changes))
    )
    assert (status, decision["transaction_id"]) == (200, id_)


def shown(page: Page, name: str) -> int:
    return int((page.locator(f"#{name}").text_content() or "").replace(",", ""))


def test_it_shows_the_counts_of_a_known_run_and_follows_without_reload(
    worker: Worker, page: Page
) -> None:
    rows = [transaction(f"page-{n}", isFlaggedFraud=int(n % 5 == 0)) for n in range(200)]
    status, _ = worker.post("/transactions?wait_seconds=30", json.dumps(rows).encode())
    assert status == 200
    # What a caller is told is counted a moment later.
    while (counts := worker.stats()["decisions"])["total"] < len(rows):
        time.sleep(POLL_INTERVAL)
    for outcome in ("APPROVE", "FLAG", "BLOCK"):
        expect(page.locator(f"#total-{outcome}")).to_have_text(f"{counts[outcome]:,}")
    expect(page.locator("#total")).to_have_text(f"{counts['total']:,}")
    expect(page.locator("#hour-BLOCK")).to_have_text(f"{counts['BLOCK']:,}")

    blocked = shown(page, "total-BLOCK")
    decide(worker, "page-next", isFlaggedFraud=1)
    expect(page.locator("#total-BLOCK")).to_have_text(f"{blocked + 1:,}", timeout=10 * REFRESH_MS)
    expect(page.locator("#scores")).to_have_attribute(
        "aria-label", re.compile(rf"Histogram of {counts['total'] + 1:,} scores")
    )


def test_a_blocked_transaction_is_shown_with_its_reasons_and_opens(
    worker: Worker, page: Page
) -> None:
    decide(worker, "page-blocked", isFlaggedFraud=1, nameOrig="C777888999")
    row = page.locator("#blocked tbody tr", has_text="page-blocked")
    expect(row).to_contain_text("The sender's own rule flagged this transaction")
    assert "C777888999" not in (page.locator("#blocked").text_content() or "")
    # By keyboard alone.
    row.get_by_role("button").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Blocked")
    expect(dialog).to_contain_text("FLAGGED_UPSTREAM")
    expect(dialog).to_contain_text("C777888999")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_one_is_looked_up_and_one_is_sent_by_form(worker: Worker, page: Page) -> None:
    page.get_by_label("Transaction id").fill("page-unknown")
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#lookup-answer")).to_contain_text("no transaction 'page-unknown' is known")

    page.get_by_role("button", name="Flagged", exact=True).click()
    page.get_by_label("Id", exact=True).fill("page-form")
    page.get_by_label("Amount").fill("")
    page.get_by_role("button", name="Send and wait").click()
    expect(page.locator("#try-answer")).to_contain_text("amount: expected `float`, got `null`")
    page.get_by_label("Amount").fill("1234.5")
    page.get_by_role("button", name="Send and wait").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1,234.50")
    expect(dialog).to_contain_text("Blocked")
    page.get_by_role("button", name="Close").click()

    page.get_by_label("Transaction id").fill("page-form")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("page-form")


def test_an_approved_one_is_explained_with_what_speaks_for_and_against_it(
    worker: Worker, page: Page
) -> None:
    decide(worker, "page-approved", type="PAYMENT", amount=50.0, oldbalanceOrg=200.0)
    status, told = worker.get("/transaction/page-approved/explain")
    assert (status, told["decision"], told["recomputed"]["is_same"]) == (200, "APPROVE", True)
    parts = [*told["for"], *told["against"]]
    total = told["base"]["log_odds"] + sum(each["contribution"] for each in parts)
    assert total == pytest.approx(told["log_odds"], abs=1e-9)

    page.get_by_label("Transaction id").fill("page-approved")
    page.get_by_role("button", name="Look up").click()
    table = page.get_by_role("dialog").get_by_role("table", name="Explanation")
    expect(table).to_be_visible(timeout=MAX_WAIT_MS)
    for group, heading in (("for", "Raises the risk"), ("against", "Lowers the risk")):
        if told[group]:
            expect(table).to_contain_text(heading)
        for each in told[group]:
            row = table.locator("tr", has_text=each["text"])
            expect(row.locator(".number")).to_have_text(signed(each["contribution"]))
            assert row.locator(".bar").bounding_box()
    base, together = (
        table.locator("tr", has_text=text) for text in ("Before anything", "Together")
    )
    expect(base.locator(".number")).to_have_text(signed(told["base"]["log_odds"]))
    expect(together.locator(".number")).to_have_text(signed(told["log_odds"]))
    strongest = max(parts, key=lambda each: abs(each["contribution"]))
    bars = {each: width(table, each) for each in (strongest["text"], parts[-1]["text"])}
    assert bars[strongest["text"]] == max(bars.values())
    expect(page.locator("#explanation")).to_contain_text("flagged from 0.5 on, blocked from 0.8 on")


def signed(number: float) -> str:
    """A contribution as the page writes it."""
    sign = "\N{MINUS SIGN}" if number < 0 else "+"
    return f"{sign}{abs(number):.2f}"


def width(table: Locator, text: str) -> float:
    """The length of the bar beside a reason."""
    box = table.locator("tr", has_text=text).locator(".bar").bounding_box()
    assert box
    return box["width"]


def test_text_of_others_is_text(worker: Worker, page: Page) -> None:
    decide(worker, "<img src=x onerror=alert(1)>", isFlaggedFraud=1)
    row = page.locator("#blocked tbody tr", has_text="<img src=x onerror=alert(1)>")
    expect(row).to_be_visible()
    assert page.locator("#blocked img").count() == 0


def test_it_fits_a_phone_and_follows_the_dark_mode(worker: Worker, browser: Browser) -> None:
    with browser.new_context(
        viewport={"width": 375, "height": 812}, color_scheme="dark"
    ) as context:
        page = context.new_page()
        page.goto(f"{worker.url}/stats")
        expect(page.locator("#status")).to_have_text("Live", timeout=MAX_WAIT_MS)
        expect(page.locator("#blocked tbody tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", ground))) < 60
        page.get_by_role("button", name="2 h").click()
        expect(page.locator("#rates")).to_have_attribute("aria-label", re.compile("2 hours"))


def test_the_docs_show_every_operation_and_try_one(worker: Worker, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        complaints: list[str] = []
        listen(page, complaints)
        page.goto(f"{worker.url}/docs")
        operation = page.locator(".opblock", has_text="/readyz")
        expect(operation).to_be_visible(timeout=MAX_WAIT_MS)
        operation.locator(".opblock-summary").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text("recovered")
        assert complaints == []


def test_it_says_when_it_is_stale_and_is_live_again_after_a_restart(
    worker: Worker, page: Page
) -> None:
    before = shown(page, "total")
    assert worker.terminate() == 0
    expect(page.locator("#status")).to_contain_text("Stale")
    expect(page.locator("body")).to_have_class("stale")
    worker.start()
    expect(page.locator("#status")).to_have_text("Live", timeout=MAX_WAIT_MS)
    expect(page.locator("#total")).to_have_text(f"{before:,}")
    decide(worker, "page-after", isFlaggedFraud=1)
    expect(page.locator("#total")).to_have_text(f"{before + 1:,}")
