"""The decision counts of the whole cluster."""

from __future__ import annotations

from faust import web

from fraudapp.app import app, runtime
from tables.decision_counts import totals
from web.views import View


@app.page("/stats", name="stats")
class Stats(View):
    """Counts decisions, as JSON."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer what the table of decision counts holds."""
        counts = totals()
        return self.answer(
            {
                "decisions": {"total": sum(counts.decisions.values()), **counts.decisions},
                "duplicates": counts.duplicates,
                "dead_letters": {
                    "total": sum(counts.dead_letters.values()),
                    **counts.dead_letters,
                },
                "partitions": counts.offsets,
                "model_version": runtime.scorer.version,
                "policy_version": runtime.policy.version,
            }
        )
