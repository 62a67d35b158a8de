"""Registers the agent, and the timers and tasks beside it, with the app."""

from __future__ import annotations

from agents.caps import Caps
from agents.heartbeats import HEARTBEAT_INTERVAL, Heartbeats
from agents.quality import WRITE_INTERVAL, QualityCells
from agents.transactions import TransactionsAgent
from agents.watch import WRITE_INTERVAL as WATCH_INTERVAL
from agents.watch import WatchCells
from fraudapp.control.caps_watch import CapsWatch
from fraudapp.faust_app import FraudApp
from fraudapp.settings import Settings
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables import Tables
from tables.decision_counts import OwnCounts


def register(
    app: FraudApp, settings: Settings, worker: FraudWorker, status: WorkerStatus, tables: Tables
) -> None:
    """Register the agent, its heartbeats, and what has caps begin and end."""

    watch = CapsWatch(status.name, lambda: worker.parts().control, worker.control_writer)
    counts = OwnCounts(tables.counts)
    TransactionsAgent(app, settings, worker, counts, decided=watch.count).register()
    heartbeats = Heartbeats(worker, status, tables.heartbeats, watch)
    app.timer(HEARTBEAT_INTERVAL)(heartbeats.beat)
    app.timer(WRITE_INTERVAL)(QualityCells(worker, status, tables.quality).write)
    app.timer(WATCH_INTERVAL)(WatchCells(worker, status, tables.watch).write)
    app.task(heartbeats.follow_control)
    app.task(Caps(worker, status, tables.heartbeats, watch, heartbeats).follow)
