"""A policy that needs it comes in force once somebody else than its author has approved it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.control.records import (
    Approved,
    CapKey,
    Capped,
    Proposed,
    approval,
    cap,
    proposal,
)
from tests.support.views import Client, ViewBench, view_bench
from tests.unit.web.control.asking import KEYS, NAMES, OTHER, SCOPES, TEXT, WRONG, ask, in_force


async def waiting(client: Client, text: str = TEXT) -> str:
    status, told = await ask(client, "PUT", "/policy", {"text": text, "parent": 0}, key="ann")
    assert (status, told["fate"], told["number"]) == (202, "waits for approval", 0)
    return str(told["id"])


async def approve(client: Client, id_: str, key: str) -> tuple[int, Any]:
    return await ask(client, "POST", "/policy/approvals", {"id": id_, "note": "seen"}, key=key)


async def test_somebody_else_puts_it_in_force(locked: Client) -> None:
    id_ = await waiting(locked)
    assert (await ask(locked, "GET", "/policy", key="reader"))[1]["number"] == 0
    status, told = await approve(locked, id_, "ann")
    assert (status, "another key" in told["detail"]) == (403, True)
    status, told = await approve(locked, id_, "bob")
    assert (status, told["number"], told["id"], told["text"]) == (200, 1, id_, TEXT)
    assert (told["author"], told["approved_by"], told["approval_note"]) == ("ann", "bob", "seen")
    status, told = await approve(locked, id_, "bob")
    assert (status, "version 1 already" in told["detail"]) == (409, True)


async def test_one_whose_parent_is_gone_is_not_approved(keyed: ViewBench, locked: Client) -> None:
    first, second = await waiting(locked), await waiting(locked, OTHER)
    assert (await approve(locked, second, "bob"))[0] == 200
    status, told = await approve(locked, first, "bob")
    assert (status, told["policy"]["id"]) == (409, second)
    third = await waiting_after(locked, second)
    # Somebody else was faster still.
    other = Proposed(parent=second, text=OTHER, author="eve")
    approved = approval("e" * 32, Approved(author="fay"))
    keyed.parts.control.others = [proposal("e" * 32, other), approved]
    status, told = await approve(locked, third, "bob")
    assert (status, told["policy"]["author"]) == (409, "eve")


async def waiting_after(client: Client, parent: str) -> str:
    _, told = await ask(client, "PUT", "/policy", {"text": TEXT, "parent": parent}, key="ann")
    return str(told["id"])


async def test_what_nobody_has_proposed_is_not_approved(locked: Client) -> None:
    assert (await approve(locked, "0" * 32, "bob"))[0] == 404
    status, told = await approve(locked, "x", "bob")
    assert (status, told["errors"][0]["field"]) == (422, "id")


async def test_what_does_not_fit_any_more_is_not_approved(keyed: ViewBench, locked: Client) -> None:
    proposed = Proposed(parent="", text=WRONG, author="ann", needs_approval=True)
    keyed.parts.control.take([proposal("a" * 32, proposed)])
    status, told = await approve(locked, "a" * 32, "bob")
    assert (status, told["errors"][0]["line"]) == (422, 6)
    assert keyed.parts.control.known.next_offset == 1


async def test_an_approval_by_another_at_the_same_time_is_as_good(
    keyed: ViewBench, locked: Client
) -> None:
    id_ = await waiting(locked)
    keyed.parts.control.others = [approval(id_, Approved(author="eve"))]
    status, told = await approve(locked, id_, "bob")
    assert (status, told["approved_by"]) == (200, "eve")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/policy", "read"),
        ("GET", "/policy/history", "read"),
        ("GET", "/policy/versions/1", "read"),
        ("GET", "/lists", "read"),
        ("GET", "/lists/mules", "read"),
        ("PUT", "/policy", "author"),
        ("POST", "/policy/check", "author"),
        ("POST", "/policy/backtest", "author"),
        ("POST", "/policy/caps", "author"),
        ("POST", "/lists/mules", "author"),
        ("POST", "/policy/approvals", "approve"),
        ("POST", "/transactions", "write"),
    ],
)
async def test_a_key_opens_what_its_scopes_say(
    locked: Client, method: str, path: str, scope: str
) -> None:
    assert (await ask(locked, method, path))[0] == 401
    for name, scopes in zip(NAMES, SCOPES, strict=True):
        status, told = await ask(locked, method, path, key=name)
        assert (status == 403) == (scope not in scopes.split("+")), (name, told)
        assert status != 401


SINCE = "2026-03-04T05:06:07.890000Z"


def begun(policy: str, rule: str = "") -> Any:
    return cap(CapKey(policy, rule), Capped(on=True, share=0.125, author="one:1", note="seen"))


async def test_a_cap_is_told_and_ended(bench: ViewBench, client: Client) -> None:
    id_ = in_force(bench, TEXT)
    bench.parts.control.take([begun(id_), begun(id_, "large")])
    _, told = await ask(client, "GET", "/policy")
    caps = {"share": 0.125, "since": SINCE, "author": "one:1", "note": "seen"}
    assert told["caps"] == [{"rule": "", **caps}, {"rule": "large", **caps}]
    _, details = await ask(client, "GET", "/stats/details")
    assert details["policy"]["caps"] == told["caps"]
    status, told = await ask(client, "POST", "/policy/caps", {"rule": "large"})
    assert (status, [each["rule"] for each in told["caps"]]) == (200, [""])
    assert (await ask(client, "POST", "/policy/caps", {"rule": "large"}))[0] == 404
    status, told = await ask(client, "POST", "/policy/caps", {"rule": "", "note": "meant"})
    assert (status, told["caps"]) == (200, [])


async def test_without_a_policy_there_is_no_cap_to_end(client: Client) -> None:
    assert (await ask(client, "POST", "/policy/caps", {"rule": ""}))[0] == 404


@pytest.mark.parametrize(("keys", "told"), [("", True), (KEYS, False)])
async def test_approval_without_keys_is_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keys: str,
    told: bool,
) -> None:
    settings = {"FRAUD_POLICY_APPROVAL": "true", "FRAUD_API_KEYS": keys}
    async with view_bench(tmp_path, monkeypatch, **settings).served():
        assert ("nobody can approve a policy" in caplog.text) == told
