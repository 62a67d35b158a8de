"""Lines that are logged while a request is answered carry its ids, in either form."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mode.utils.logging import DEFAULT_FORMAT, DefaultFormatter

from fraudapp.process import logs, traces
from fraudapp.process.traces import Trace


@pytest.fixture
def logged() -> Iterator[Callable[[logs.Format], Callable[[], list[str]]]]:
    """Set up a separate log in a form; the returned function gives its lines."""
    logger = logging.getLogger("tests.logs")
    hooks = sys.excepthook, threading.excepthook
    handlers = logger.handlers, logging.root.handlers[:]

    def begin(form: logs.Format) -> Callable[[], list[str]]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(DefaultFormatter(DEFAULT_FORMAT))
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logs.set_up(logger, form)
        return lambda: stream.getvalue().splitlines()

    yield begin
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook = hooks
    logger.handlers = handlers[0]


async def _deal_with(name: str, gate: asyncio.Event, told: list[asyncio.Task[None]]) -> None:
    log = logging.getLogger("tests.logs.deeper")
    trace = Trace(name, "a" * 32, "b" * 16)
    traces.enter(trace)
    log.info("began %s", name)

    async def afterwards() -> None:
        await gate.wait()
        log.info("after %s", name)

    told.append(asyncio.create_task(afterwards()))
    await asyncio.to_thread(log.info, "in a thread of %s", name)
    trace.ended = True


@pytest.mark.parametrize("form", ["text", "json"])
async def test_lines_of_a_request_have_its_ids_and_others_have_none(
    logged: Callable[[logs.Format], Callable[[], list[str]]], form: logs.Format
) -> None:
    lines = logged(form)
    gate, later = asyncio.Event(), list[asyncio.Task[None]]()
    await asyncio.gather(
        *(asyncio.create_task(_deal_with(name, gate, later)) for name in ("one", "two"))
    )
    gate.set()
    await asyncio.gather(*later)
    logging.getLogger("tests.logs").info("nobody's")
    found = lines()
    assert len(found) == 7
    for line in found:
        names = [name for name in ("one", "two") if f" {name}" in line and "after" not in line]
        if form == "json":
            entry = json.loads(line)
            assert [entry["request_id"]] == names if names else "request_id" not in entry
            assert ("trace_id" in entry) == ("span_id" in entry) == bool(names)
            assert {"time", "level", "logger", "message"} <= entry.keys()
        else:
            assert [f"request_id={each!r}" in line for each in names] == [True] * len(names)
            assert ("request_id" in line) == bool(names)


def test_lines_of_the_audit_come_whatever_the_level(
    logged: Callable[[logs.Format], Callable[[], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("tests.logs")
    monkeypatch.setattr(logs, "AUDIT", "tests.logs.audit")
    lines = logged("text")
    log.handlers[0].setLevel(logging.WARNING)
    log.setLevel(logging.WARNING)
    logs.set_up(log, "text")
    log.info("left out")
    logging.getLogger("tests.logs.audit").info("told")
    assert ["told" in each for each in lines()] == [True]


def test_every_entry_is_one_line_of_json(
    logged: Callable[[logs.Format], Callable[[], list[str]]],
) -> None:
    lines = logged("json")
    log = logging.getLogger("tests.logs")
    # Half of a surrogate pair is not among these: pytest cannot pass it on.
    values: list[Any] = ["two\nlines\r\x1b[31m\u2028", b"\xff", object(), {1: 2}, None]
    for value in values:
        log.info("of %s", value, extra={"told": value, "data": {"x": object()}})
    try:
        raise ValueError("of\ntwo lines")
    except ValueError as exc:
        log.exception("failed")
        sys.excepthook(type(exc), exc, exc.__traceback__)  # logged by the root logger
    found = [json.loads(line) for line in lines()]
    assert len(found) == len(values) + 1
    assert "ValueError: of\ntwo lines" in found[-1]["exc_info"]
    assert all("data" not in each and "told" in each for each in found[:-1])
    with warnings.catch_warnings(record=True):
        logging.captureWarnings(False)
