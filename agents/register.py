"""Registers the agent, and the timers beside it, with the app."""

from __future__ import annotations

from agents.heartbeats import INTERVAL, Heartbeats
from agents.transactions import TransactionsAgent
from fraudapp.faust_app import FraudApp
from fraudapp.settings import Settings
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables import Tables
from tables.decision_counts import OwnCounts


def register(
    app: FraudApp, settings: Settings, worker: FraudWorker, status: WorkerStatus, tables: Tables
) -> None:
    """Let the worker consume, and tell the others how it does."""
    TransactionsAgent(app, settings, worker, OwnCounts(tables.counts)).register()
    app.timer(INTERVAL)(Heartbeats(worker, status, tables.heartbeats).beat)
