"""The composition root: `build` wires worker, tables, agents and web server together.

It is the one module of `fraudapp` that names `agents`, `tables` and `web`. An error in any of their
modules is raised here, so that no worker starts without its agents (Faust's own discovery logs such
errors and goes on). Building opens no connection.
"""

from __future__ import annotations

from dataclasses import dataclass

import agents.register
import tables
import web.register
from fraudapp import commands
from fraudapp.cli import faust_commands
from fraudapp.faust_app import FraudApp, new_app
from fraudapp.process import tuning
from fraudapp.settings import Settings
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker


@dataclass(frozen=True)
class Application:
    """One worker, built and not started yet."""

    settings: Settings
    app: FraudApp
    worker: FraudWorker
    status: WorkerStatus
    tables: tables.Tables


def build(settings: Settings) -> Application:
    """Return an application with its worker, tables, agents and web server registered."""
    app = new_app(settings)
    worker = FraudWorker(settings, app)
    app.first = [worker]
    status = WorkerStatus(worker)
    registered = tables.register(app, settings)
    agents.register.register(app, settings, worker, status, registered)
    web.register.register(app, settings, worker, status, registered)
    return Application(settings, app, worker, status, registered)


def prepare_process(settings: Settings) -> None:
    """Set up what the process has once: event loop, memory, open files and commands."""
    tuning.tune()
    commands.register()
    if settings.log_format == "json":
        faust_commands.hide_banner()
