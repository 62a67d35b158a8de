"""Views of lists: their sizes and entries, and changes of them."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Final

from faust import web

from models.control.lists import MAX_ENTRIES
from models.policies.definition import NAME
from web.bodies import MAX_LISTED_ERRORS
from web.control import requests, state
from web.control.base import ControlView, query
from web.control.list_changes import Changes, ListBody
from web.control.list_documents import (
    ListChanged,
    ListEntries,
    ListLookup,
    ListSizes,
)
from web.problems import Problem
from web.views import route

MAX_SHOWN: Final = 1_000
_is_name: Final = re.compile(NAME).fullmatch


@route("/lists", name="lists")
class AllLists(ControlView):
    """The names of all lists."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer how many entries each has."""
        return self.answer(ListSizes(state.sizes(self.control)))


@route("/lists/{name}", name="list")
class OneList(ControlView):
    """One list."""

    async def get(self, request: web.Request, name: str) -> web.Response:
        """Answer its first entries, or whether it has the one that the query names."""
        sizes = state.sizes(self.control)
        if name not in sizes:
            raise Problem(404, f"there is no list {name!r:.80}, neither empty nor full")
        entries = self._entries(name)
        value = query(request).get("value")
        if value is not None:
            return self.answer(ListLookup(name, value, value in entries))
        shown = sorted(islice(entries, MAX_SHOWN))
        return self.answer(ListEntries(name, len(entries), shown, len(shown) == len(entries)))

    async def post(self, request: web.Request, name: str) -> web.Response:
        """Add and remove entries; if one is wrong, nothing is changed."""
        if not _is_name(name):
            raise Problem(404, f"{name!r:.80} is no name of a list: lower-case letters, digits, _")
        body = await requests.of_json(request, ListBody)
        change = await asyncio.to_thread(Changes, name, body)
        if change.errors:
            told = change.errors[:MAX_LISTED_ERRORS]
            more = (
                f"; only the first {len(told)} are listed" if len(change.errors) > len(told) else ""
            )
            raise Problem(422, f"nothing was changed: there are errors{more}", errors=told)
        self._check_room(name, change)
        records = change.records(self.author(request))
        await requests.within_time(self.writer().change(name, records))
        size = len(self._entries(name))
        return self.answer(ListChanged(name, len(change.added), len(change.removed), size))

    def _check_room(self, name: str, change: Changes) -> None:
        lists, entries = self.control.known.lists, self._entries(name)
        room = MAX_ENTRIES - len(lists)
        if sum(each not in entries for each in change.added) > room:
            raise Problem(409, f"nothing was changed: lists have room for {room:,} more entries")

    def _entries(self, name: str) -> Any:
        return self.control.known.lists.at(datetime.now(timezone.utc)).get(name, frozenset())
