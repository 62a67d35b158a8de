"""Entries of lists are looked up, and changed all or none."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from models.control.lists import Lists
from models.control.records import Listed, entry
from tests.support.views import Client, ViewBench
from tests.unit.web.control.asking import ask
from web.control import lists
from web.control.list_changes import MAX_CHANGES

PATH = "/lists/mules"
SOON = datetime.now(timezone.utc) + timedelta(days=1)


async def test_entries_are_added_looked_up_and_removed(bench: ViewBench, client: Client) -> None:
    assert (await ask(client, "GET", PATH))[0] == 404
    assert await ask(client, "GET", "/lists") == (200, {"lists": {}})
    adding = [
        {"value": "C2"},
        {"value": "C1", "expires_at": SOON.isoformat()},
        {"value": "\u00e9/ "},
    ]
    status, told = await ask(client, "POST", PATH, {"add": adding, "note": "why"})
    assert (status, told) == (200, {"name": "mules", "added": 3, "removed": 0, "size": 3})
    _, told = await ask(client, "GET", PATH)
    assert told == {
        "name": "mules",
        "size": 3,
        "entries": ["C1", "C2", "\u00e9/ "],
        "complete": True,
    }
    for value, listed in (("C1", True), ("%C3%A9/%20", True), ("C3", False), ("", False)):
        status, told = await ask(client, "GET", f"{PATH}?value={value}")
        assert (status, told["listed"]) == (200, listed)
    status, told = await ask(
        client, "POST", PATH, {"remove": ["C1", "C9"], "add": [{"value": "x"}]}
    )
    assert (status, told) == (200, {"name": "mules", "added": 1, "removed": 2, "size": 3})
    assert await ask(client, "GET", "/lists") == (200, {"lists": {"mules": 3}})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [""]),
        ({"add": [], "remove": []}, [""]),
        ({"add": [{"value": "v"}] * (MAX_CHANGES + 1)}, [""]),
        (
            {"add": [{"value": "ok"}, {"value": ""}, {"value": 7}, {}, "x", {"value": "\n"}]},
            ["add[1].value", "add[2].value", "add[3]", "add[4]", "add[5].value"],
        ),
        ({"add": [{"value": "a"}, {"value": "a"}], "remove": ["a"]}, ["add[1].value", "remove[0]"]),
        ({"remove": ["", 1, "x" * 129]}, ["remove[0]", "remove[1]", "remove[2]"]),
        ({"add": [{"value": "a", "expires_at": "2020-01-01T00:00:00Z"}]}, ["add[0].expires_at"]),
        ({"add": [{"value": "a", "expires_at": "2999-01-01T00:00:00"}]}, ["add[0].expires_at"]),
        ({"add": [{"value": "a", "until": "x"}]}, ["add[0]"]),
        ({"add": [{"value": "a"}], "note": "x" * 1_001}, ["note"]),
        ({"add": [{"value": "a"}], "notes": ""}, [""]),
        ({"add": "x"}, ["add"]),
    ],
)
async def test_each_wrong_entry_is_named_and_nothing_is_changed(
    bench: ViewBench, client: Client, body: Any, fields: list[str]
) -> None:
    status, told = await ask(client, "POST", PATH, body)
    assert (status, [each["field"] for each in told["errors"]]) == (422, fields)
    assert bench.parts.control.known.next_offset == 0


async def test_a_name_that_no_list_can_have_is_not_there(client: Client) -> None:
    for name in ("Mules", "1", "a-b", "x" * 64):
        assert (await ask(client, "GET", f"/lists/{name}"))[0] == 404
        assert (await ask(client, "POST", f"/lists/{name}", {"add": [{"value": "a"}]}))[0] == 404


async def test_of_a_long_list_the_beginning_is_shown(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_SHOWN", 2)
    listed = Listed(author="ann")
    bench.parts.control.take([entry("mules", each, listed) for each in "abc"])
    _, told = await ask(client, "GET", PATH)
    assert (told["size"], len(told["entries"]), told["complete"]) == (3, 2, False)


async def test_entries_for_which_there_is_no_room_are_refused(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_ENTRIES", 2)
    adding = [{"value": each} for each in "abc"]
    status, told = await ask(client, "POST", PATH, {"add": adding})
    assert (status, "room for 2 more" in told["detail"]) == (409, True)
    assert (await ask(client, "POST", PATH, {"add": adding[:2]}))[0] == 200
    assert (await ask(client, "POST", PATH, {"add": adding[:2]}))[0] == 200


async def test_an_entry_that_has_expired_is_not_there(bench: ViewBench, client: Client) -> None:
    past = datetime(2026, 1, 1, tzinfo=timezone.utc)
    bench.parts.control.take([entry("mules", "old", Listed(author="ann", expires_at=past))])
    assert isinstance(bench.parts.control.known.lists, Lists)
    _, told = await ask(client, "GET", f"{PATH}?value=old")
    assert told["listed"] is False
