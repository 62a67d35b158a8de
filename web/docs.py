"""The page on which the API is described and can be tried."""

from __future__ import annotations

from faust import web

from web.views import View, route


@route("/docs", name="docs")
class Docs(View):
    """Swagger UI, whose files this server has itself."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer the page."""
        return self.page("docs.html")
