"""The paths of lists in the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from models.policies.definition import NAME
from web.control import list_documents as documents
from web.control.list_changes import MAX_CHANGES
from web.control.lists import MAX_SHOWN
from web.operations import (
    content,
    get,
    in_path,
    json,
    no_answer,
    not_started,
    operation,
    post,
    problem,
    ref,
)

TYPES: Final = (
    documents.ListChange,
    documents.ListChanged,
    documents.ListSizes,
    documents.ListEntries,
    documents.ListLookup,
)
_LISTS: Final = "Lists"


def paths() -> dict[str, Any]:
    """Return the paths."""
    return {
        "/lists": get(
            "Count the entries of all lists",
            {"200": json("By the name of the list.", "ListSizes"), "503": not_started()},
            tag=_LISTS,
        ),
        "/lists/{name}": {"get": _list(), "post": _change_list()},
    }


def _list() -> dict[str, Any]:
    either = {"anyOf": [ref("ListEntries"), ref("ListLookup")]}
    value = {
        "name": "value",
        "in": "query",
        "description": "The entry to look for.",
        "schema": {"type": "string"},
    }
    return operation(
        f"Get up to {MAX_SHOWN:,} entries of a list, or whether it has one",
        {
            "200": content("The entries, or whether `value` is one.", "application/json", either),
            "404": problem("There is no such list."),
            "503": not_started(),
        },
        tag=_LISTS,
        parameters=[_name(), value],
    )


def _change_list() -> dict[str, Any]:
    answers = {
        "200": json("It is changed.", "ListChanged"),
        "404": problem("No list can have this name."),
        "409": problem("There is no room for so many."),
        "422": problem("Nothing was changed; each wrong entry is named.", "InvalidBody"),
        "503": no_answer(),
    }
    summary = f"Add entries to a list and remove others, up to {MAX_CHANGES:,} at once"
    asked = {"add": [{"value": "C1231006815"}], "remove": [], "note": "seen in a report"}
    return post(summary, answers, "ListChange", asked, _name(), tag=_LISTS)


def _name() -> dict[str, Any]:
    return in_path("name", {"type": "string", "pattern": NAME}, "mules")
