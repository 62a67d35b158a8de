"""Registers the agent, and the timers beside it, with the app."""

from __future__ import annotations

from agents.heartbeats import HEARTBEAT_INTERVAL, Heartbeats
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
    """Register the agent, and the timer of its heartbeats."""
    TransactionsAgent(app, settings, worker, OwnCounts(tables.counts)).register()
    app.timer(HEARTBEAT_INTERVAL)(Heartbeats(worker, status, tables.heartbeats).beat)
