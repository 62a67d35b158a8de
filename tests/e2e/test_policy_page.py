"""The page of the policy, in a browser: written, checked, tried, proposed, approved, gone back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import chromium
from tests.support.messages import encoded, transaction
from tests.support.raw_http import send
from tests.support.worker import Worker

MAX_WAIT_MS = 30_000  # ms
MARKUP = "<img src=x onerror=document.title='owned'>"
SCRIPT = "<script>document.title='owned'</script>"
RULE = f"""
[[rules]]
id = "large"
when = "amount > 1_000"
then = "block"
reason = "{MARKUP}"
owner = "{SCRIPT}"
"""
MULES = """
[lists.mules]
field = "nameDest"
then = "block"
reason = "A mule."
owner = "fraud"
"""
ANN, BOB, READER = (f"the-secret-of-{name}" for name in ("ann", "bob", "reader"))
KEYS = f"ann:read+author:{ANN},bob:read+approve:{BOB},reader:read:{READER}"


def opened(browser: Browser, worker: Worker, complaints: list[str], **context: Any) -> Page:
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(MAX_WAIT_MS)
    expect.set_options(timeout=MAX_WAIT_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda line: complaints.append(line.text) if "irective" in line.text else None
    )
    page.goto(f"{worker.url}/policy")
    return page


def write(page: Page, text: str) -> None:
    page.get_by_label("Policy, as TOML").fill(text)


def propose(page: Page, text: str, note: str) -> None:
    write(page, text)
    page.get_by_label("Why").first.fill(note)
    page.get_by_role("button", name="Propose").click()


def decide(worker: Worker, id_: str, **changes: Any) -> dict[str, Any]:
    row = encoded(transaction(id_, **changes))
    status, decision = worker.post("/transactions?wait_seconds=30", row)
    assert status == 200
    return dict(decision)


def check_errors_are_shown_where_they_are(page: Page) -> None:
    write(page, "flag_at = 0.5\n" + RULE.replace("amount >", "amount > 1 and amoun >"))
    page.get_by_role("button", name="Check").click()
    errors = page.get_by_role("list", name="Errors")
    expect(errors).to_contain_text("Line 5, column 24: rule large: ")
    page.get_by_role("button", name="Line 5, column 24").click()
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#caret")).to_have_text("Line 5, column 24")
    page.get_by_role("button", name="Propose").click()
    expect(page.locator("#propose-answer")).to_contain_text("not valid")
    expect(errors).to_contain_text("Line 5, column 24")
    write(page, "flag_at = \n")
    page.get_by_role("button", name="Check").click()
    expect(errors).to_contain_text("Line 1, column 11")


def check_lists_are_changed(page: Page) -> None:
    entries = page.get_by_role("list", name="Entries")
    page.get_by_label("List", exact=True).fill("mules")
    page.get_by_label("Entries, one a line").fill(f"C-mule\n{MARKUP}\n")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#list-answer")).to_have_text("Added 2; mules has 2 entries.")
    page.get_by_role("button", name="mules").click()
    expect(entries).to_contain_text(MARKUP)
    page.get_by_label("Entries, one a line").fill("C-mule\nC-other")
    page.get_by_role("button", name="Look up").click()
    expect(entries).to_contain_text("C-mule: is there")
    expect(entries).to_contain_text("C-other: is not there")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#list-answer")).to_have_text("Removed 2; mules has 1 entries.")
    page.get_by_label("Entries, one a line").fill("x" * 200)
    page.get_by_role("button", name="Add").click()
    expect(entries).to_contain_text("add[0].value: ")


def check_it_goes_back_in_one_click(worker: Worker, page: Page) -> None:
    page.get_by_role("button", name="Edit Version 1").click()
    expect(page.get_by_label("Policy, as TOML")).to_have_value(RULE)
    page.locator("#changes summary").click()
    expect(page.locator("#changes .added")).to_contain_text(["+ [[rules]]"])
    page.get_by_label("Why").first.fill("back")
    page.get_by_role("button", name="Propose").click()
    expect(page.locator("#propose-answer")).to_have_text("Version 3 is in force at all workers.")


def check_two_at_once(worker: Worker, page: Page) -> None:
    write(page, "flag_at = 0.3\n")
    status, told = worker.get("/policy")
    body = {"text": "flag_at = 0.2\n", "parent": told["id"], "note": "meanwhile"}
    status, _ = worker.request("PUT", "/policy", json.dumps(body).encode())
    assert status == 200
    page.get_by_role("button", name="Propose").click()
    answer = page.locator("#propose-answer")
    expect(answer).to_contain_text("anonymous was faster with version 4")
    expect(page.get_by_label("Policy, as TOML")).to_have_value("flag_at = 0.3\n")
    page.get_by_role("button", name="Go on from version 4").click()
    page.get_by_role("button", name="Propose").click()
    expect(answer).to_have_text("Version 5 is in force at all workers.")


def test_a_policy_is_written_tried_and_put_in_force(new_worker: Callable[..., Worker]) -> None:
    worker = new_worker()
    complaints: list[str] = []
    decide(worker, "before", amount=5_000.0)
    with chromium() as browser:
        page = opened(browser, worker, complaints)
        expect(page.locator("#current")).to_have_text("The thresholds of the settings")
        check_errors_are_shown_where_they_are(page)
        write(page, RULE)
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#found")).to_have_text("It is valid: 1 rules.")
        page.get_by_role("button", name="Backtest").click()
        expect(page.locator("#found")).to_contain_text("1 of 1 decisions would change")
        expect(page.get_by_role("table", name="Hits of each rule")).to_contain_text("large")
        propose(page, RULE, SCRIPT)
        expect(page.locator("#propose-answer")).to_have_text(
            "Version 1 is in force at all workers."
        )
        expect(page.locator("#current")).to_contain_text("Version 1 by anonymous")
        expect(page.locator("#current-note")).to_have_text(SCRIPT)
        assert decide(worker, "blocked", amount=5_000.0)["decision"] == "BLOCK"
        propose(page, MULES, "only the list")
        history = page.locator("#history tbody tr")
        expect(history).to_have_count(2)
        expect(history.nth(1)).to_contain_text(SCRIPT)
        page.get_by_role("button", name="Show the difference").click()
        expect(page.locator("#difference .removed")).to_contain_text(["- [[rules]]"])
        expect(page.locator("#difference")).to_contain_text(MARKUP)
        check_lists_are_changed(page)
        check_it_goes_back_in_one_click(worker, page)
        check_two_at_once(worker, page)
        page.goto(f"{worker.url}/stats")
        row = page.locator("#blocked tbody tr", has_text="blocked")
        expect(row).to_contain_text(MARKUP)
        expect(page.locator("#policy-author")).to_contain_text("by anonymous")
        assert page.title() == "Stats \u00b7 fraudapp"
        check_it_fits_a_phone(browser, worker, complaints)
    assert complaints == []


def check_it_fits_a_phone(browser: Browser, worker: Worker, complaints: list[str]) -> None:
    page = opened(
        browser,
        worker,
        complaints,
        viewport={"width": 375, "height": 812},
        color_scheme="dark",
    )
    expect(page.locator("#history tbody tr")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    ground = page.evaluate("getComputedStyle(document.getElementById('text')).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 60


def with_key(page: Page, key: str) -> None:
    page.get_by_role("button", name="Other key").click()
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#status")).to_have_text("Live")


def test_another_key_approves_what_one_has_proposed(new_worker: Callable[..., Worker]) -> None:
    worker = new_worker(FRAUD_API_KEYS=KEYS, FRAUD_POLICY_APPROVAL="true")
    complaints: list[str] = []
    with chromium() as browser:
        page = opened(browser, worker, complaints)
        page.get_by_label("API key").fill(READER)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator("#current")).to_have_text("The thresholds of the settings")
        propose(page, RULE, "large ones")
        answer = page.locator("#propose-answer")
        expect(answer).to_have_text("the key 'reader' lacks the scope 'author'")
        expect(page.get_by_label("Policy, as TOML")).to_have_value(RULE)
        with_key(page, ANN)
        page.get_by_role("button", name="Propose").click()
        expect(answer).to_have_text("It waits for approval by somebody else.")
        waiting = page.locator("#waiting")
        expect(waiting).to_contain_text("large ones")
        expect(waiting.locator(".added")).to_contain_text(["+ [[rules]]"])
        approve = page.get_by_role("button", name="Approve")
        approve.click()
        expect(waiting).to_contain_text("lacks the scope 'approve'")
        with_key(page, BOB)
        page.get_by_label("Note").fill("agreed")
        approve.click()
        expect(page.locator("#current")).to_contain_text("Version 1 by ann, approved by bob")
        expect(waiting).to_be_hidden()
        expect(page.locator("#history")).to_contain_text("came in force, approved by bob")
    assert complaints == []
    status, _, content = send(worker.url, "GET", "/policy", None, {"X-API-Key": READER})
    assert (status, json.loads(content)["approval_note"]) == (200, "agreed")
