"""The description of the API as a page, where it can be tried."""

from __future__ import annotations

from faust import web

from web.views import View, route


@route("/docs", name="docs")
class Docs(View):
    """Swagger UI, from this server."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the page."""
        return self.page("docs.html")
