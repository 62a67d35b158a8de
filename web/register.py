"""Registers the views with the Faust app: the one place that names every view."""

from __future__ import annotations

from typing import Final

from fraudapp import metrics
from fraudapp.explaining import Explainer
from fraudapp.faust_app import FraudApp
from fraudapp.settings import Settings
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables import Tables
from web import (
    asyncapi,
    docs,
    explanations,
    form,
    health,
    labels,
    openapi,
    pages,
    quality,
    stats,
    transactions,
    watch,
)
from web import metrics as metrics_page
from web.context import Context
from web.control import approvals, checking, lists, policies
from web.control.metrics import policy
from web.known_models import Models
from web.overview import Overview
from web.quality_metrics import WEEKS
from web.quality_metrics import quality as quality_metrics
from web.quality_told import QualityTold
from web.server import set_up
from web.views import View
from web.watch_metrics import watch as watch_metrics
from web.watch_told import WatchTold

VIEWS: Final[tuple[type[View], ...]] = (
    approvals.Approvals,
    approvals.Caps,
    asyncapi.AsyncApi,
    checking.Check,
    checking.Trials,
    docs.Docs,
    explanations.TransactionExplanation,
    explanations.ExplanationByQuery,
    form.FormView,
    health.Healthz,
    health.Readyz,
    labels.TransactionLabel,
    labels.LabelByQuery,
    labels.TransactionLabels,
    labels.LabelsByQuery,
    lists.AllLists,
    lists.OneList,
    metrics_page.Metrics,
    Models,
    openapi.OpenApi,
    pages.Front,
    pages.Static,
    policies.Policy,
    policies.PolicyVersion,
    policies.PolicyHistory,
    quality.Quality,
    stats.Stats,
    stats.Details,
    stats.Stream,
    transactions.Transactions,
    transactions.TransactionStatus,
    transactions.Status,
    watch.Watch,
)


def register(
    app: FraudApp, settings: Settings, worker: FraudWorker, status: WorkerStatus, tables: Tables
) -> None:
    """Serve all views behind the middlewares; called once by the composition root."""
    control = set_up(app, settings)
    overview = Overview(worker, tables)
    told = QualityTold(worker, tables)
    explainer, watched = Explainer(worker), WatchTold(worker, tables, told)
    context = Context(
        settings,
        app,
        worker,
        status,
        tables,
        control.access,
        overview,
        told,
        explainer,
        watched,
    )
    for view in VIEWS:
        served = type(view.__name__, (view,), {"context": context})
        app.page(view.view_path, name=view.view_name)(served)
    metrics.worker.source = lambda: metrics_page.worker_state(context)
    quality_metrics.source = lambda: told.quality(WEEKS) if worker.has_started else None
    watch_metrics.source = lambda: watched.watched() if worker.has_started else None
    policy.source = lambda: worker.parts().control if worker.has_started else None
