"""Whether this worker is alive, and whether it is ready."""

from __future__ import annotations

from typing import cast

from faust import web
from faust.tables.manager import TableManager

from fraudapp.app import app, runtime
from web.problems import Problem
from web.views import View


@app.page("/healthz", name="healthz")
class Healthz(View):
    """Alive: the event loop answers. Whether the stores keep up is told beside it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, with how many decisions each store does not have yet, and if it is down."""
        stores = {
            keeper.store.name: {"behind": keeper.behind, "down": keeper.failure is not None}
            for keeper in runtime.keepers
        }
        return self.answer({"status": "alive", "stores": stores})


@app.page("/readyz", name="readyz")
class Readyz(View):
    """Ready: a model is loaded, partitions are assigned and tables recovered."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, or 503 naming what is missing."""
        recovery = cast(TableManager, app.tables).recovery
        checks = {
            "model": hasattr(runtime, "scorer"),
            "assigned": app._assignment is not None and not app.rebalancing,
            "recovered": recovery.completed.is_set() and not app.in_recovery,
        }
        missing = [name for name, passed in checks.items() if not passed]
        if missing:
            raise Problem(503, f"not ready: {', '.join(missing)}", checks=checks)
        return self.answer({"status": "ready", "checks": checks})
