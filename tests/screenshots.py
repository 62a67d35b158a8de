"""Makes the pictures of the README from a running instance, such as that of `make run`.

    python -m tests.screenshots [--url URL]

Let it run for some minutes before, so that the charts have something to show, apply a policy, such
as that of `docker/policy`, with a model in its `shadow`, and publish labels.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import quote

from playwright.sync_api import Page, expect, sync_playwright

FOLDER: Final = Path(__file__).parents[1] / ".github" / "images"
SIZES: Final = {
    "stats-light": (1280, 820, "light"),
    "decision-dark": (1280, 820, "dark"),
    "stats-phone": (375, 812, "light"),
    "policy-light": (1280, 820, "light"),
    "quality-light": (1280, 820, "light"),
}


def _settled(page: Page, url: str, name: str) -> None:
    if name.startswith("policy"):
        page.goto(f"{url}/policy")
        expect(page.locator("#version")).to_have_text(re.compile(r"\d"), timeout=30_000)
        page.locator("#check").click()
        expect(page.locator("#found")).not_to_be_empty()
        return
    if name.startswith("quality"):
        page.goto(f"{url}/quality")
        expect(page.locator("#precision")).to_have_text(re.compile(r"\d"), timeout=30_000)
        expect(page.locator("#service tbody")).to_contain_text("in shadow", timeout=30_000)
        expect(page.locator("#status")).to_have_text("Live")
        return
    page.goto(f"{url}/stats")
    expect(page.locator("#status")).to_have_text("Live", timeout=30_000)
    expect(page.locator("#rates")).not_to_have_attribute("aria-label", "No decisions yet")
    expect(page.locator("#blocked tbody button").first).to_be_visible(timeout=30_000)


def _open_one(page: Page, url: str) -> None:
    """Open a blocked transaction that something speaks against, too; the latest if none is such."""
    buttons = page.locator("#blocked tbody button")
    ids = buttons.all_text_contents()
    told = (page.request.get(f"{url}/transaction/{quote(each, '')}/explain") for each in ids)
    at = next((n for n, each in enumerate(told) if each.ok and each.json()["against"]), 0)
    buttons.filter(has_text=re.compile(rf"^{re.escape(ids[at])}$")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("table", name="Explanation")).to_be_visible(timeout=30_000)
    page.evaluate("scrollTo(0, 0)")  # the top of the page again, behind the dialog


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, height, scheme) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            _settled(page, url, name)
            if name.startswith("decision"):
                _open_one(page, url)
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
