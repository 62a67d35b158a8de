"""The Prometheus endpoint, and the state of the worker that its metrics show."""

from __future__ import annotations

from faust import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from fraudapp import metrics
from web.context import Context
from web.views import View, route


@route("/metrics", name="metrics")
class Metrics(View):
    """Prometheus text."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer all metrics that `fraudapp.metrics` declares."""
        return self.bytes(
            generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )


def worker_state(context: Context) -> metrics.WorkerState | None:
    """Return the state that the metrics show; None before the worker has started.

    Called at each scrape.
    """
    if not context.worker.has_started:
        return None
    started, owned = context.worker.parts(), context.status.owned()
    counts = {
        partition: each for partition, each in context.tables.counts.items() if partition in owned
    }
    return metrics.WorkerState(
        counts=counts,
        lags=context.status.lags(counts),
        sinks=context.status.sinks(),
        model_version=started.serving.version,
        # Without the offset: each change of a list would begin another series.
        policy_version=started.control.in_force.version.partition("+")[0],
        waiting=started.waiters.count(),
    )
