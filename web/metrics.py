"""Metrics of this worker, for Prometheus."""

from __future__ import annotations

from faust import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from fraudapp import metrics, status
from fraudapp.app import app, runtime
from tables.decision_counts import decision_counts
from web.views import View


@app.page("/metrics", name="metrics")
class Metrics(View):
    """Prometheus text."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer all metrics that `fraudapp.metrics` declares."""
        return self.bytes(
            generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )


def _state() -> metrics.WorkerState | None:
    if not hasattr(runtime, "sink_writers"):
        return None
    numbers = status.owned()
    counts = {number: each for number, each in decision_counts.items() if number in numbers}
    return metrics.WorkerState(
        counts=counts,
        lags=status.lags(counts),
        stores=status.stores(),
        model_version=runtime.scorer.version,
        policy_version=runtime.policy.version,
        waiting=runtime.waiting.count(),
    )


metrics.worker.source = _state
