"""The front door, and the files of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from faust import web

from fraudapp.app import app
from web.access import STATIC
from web.problems import Problem
from web.views import View

FOLDER: Final = Path(__file__).parent / "static"


@app.page("/", name="front")
class Front(View):
    """Where everything is."""

    async def get(self, request: web.Request) -> web.Response:
        """Send everybody on to the stats."""
        raise Problem(302, "see /stats", headers={"Location": "/stats"})


app.web.add_static(STATIC, FOLDER)
