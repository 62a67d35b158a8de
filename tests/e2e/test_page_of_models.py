"""The page of quality says which model decides, and how those in its shadow compare with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import chromium
from tests.support.messages import transaction
from tests.support.shadowed import put_in_shadow
from tests.support.worker import Worker

MAX_WAIT_MS = 30_000  # ms
ROWS = 200
MARKUP = "<img src=x onerror=document.title='owned'>"


def opened(browser: Browser, worker: Worker, complaints: list[str], width: int = 1280) -> Page:
    """The page in the dark; what the browser complains about is noted."""
    page = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark"
    ).new_page()
    expect.set_options(timeout=MAX_WAIT_MS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda line: complaints.append(line.text) if "irective" in line.text else None
    )
    page.goto(f"{worker.url}/quality")
    expect(page.locator("#status")).to_have_text("Live")
    return page


def test_a_model_in_shadow_is_compared_with_the_one_that_decides(
    new_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    worker = new_worker()
    own = worker.stats()["model_version"]
    complaints: list[str] = []
    with chromium() as browser:
        page = opened(browser, worker, complaints)
        table = page.locator("#service")
        expect(table).to_contain_text(f"{own}decidesbefore any policy")
        expect(page.locator("#no-shadow")).to_contain_text("No model is in shadow: name one")

        version = put_in_shadow(worker, tmp_path / "made", MARKUP)
        rows = [transaction(f"m-{number}", isFlaggedFraud=number % 2) for number in range(ROWS)]
        status, _ = worker.post("/transactions?wait_seconds=30", json.dumps(rows).encode())
        assert status == 200
        told = {each["version"]: each for each in worker.get("/models")[1]["models"]}[version]
        assert told["rows"] == ROWS
        assert 0 < told["agreed"] <= ROWS
        row = table.locator("tr", has_text=version)
        expect(row).to_contain_text("in shadow")
        expect(row).to_contain_text(MARKUP)
        numbers = row.locator("td.number")
        agreement = f"{100 * told['agreed'] / ROWS:.2f} %".replace("100.00", "100")
        expect(numbers).to_have_text([f"{ROWS}", agreement, f"{ROWS - told['agreed']}", "0"])
        expect(page.locator("#no-shadow")).to_be_hidden()
        expect(page.locator("#others")).to_be_empty()

        file = tmp_path / "made" / "shadow.toml"
        file.write_text(f"{file.read_text()}canary = 0.5\n")
        worker.run("policy", "apply", str(file))
        expect(row).to_contain_text("decides for 50 % of senders")

        phone = opened(browser, worker, complaints, width=375)
        expect(phone.locator("#service")).to_contain_text(version)
        assert phone.evaluate("document.documentElement.scrollWidth") == 375
        assert page.title() == "Quality · fraudapp"
    assert complaints == []
