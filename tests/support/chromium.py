"""A browser to look at pages with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.servers.choice import required


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Debian's Chromium, with more arguments; without it the test is skipped or fails.

    As long as it runs, no coroutine can: neither asynchronous tests nor fixtures.
    """
    program = shutil.which("chromium")
    if program is None:
        reason = "no browser: install Debian's `chromium`"
        pytest.fail(reason, pytrace=False) if required() else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", *arguments]
        )
        yield browser
        browser.close()
