"""Faust's app with the settings of fraudapp, and with its own ways to start and to stop."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import faust
from faust.app.base import BootStrategy
from faust.types.settings import Settings as FaustSettings
from faust.web.drivers.aiohttp import Web
from mode import CrashingSupervisor
from mode.types import ServiceT
from yarl import URL

from fraudapp.config.exposure import refusal
from fraudapp.kafka.assignor import OwnersAssignor
from fraudapp.kafka.client_log import limit_repeated_messages
from fraudapp.kafka.clients import faust_credentials
from fraudapp.kafka.transport import SafeTransport
from fraudapp.process import logs
from fraudapp.process.private_files import make_private
from fraudapp.settings import Settings

STOP_TIMEOUT: Final = 8.0
"""Seconds that an orderly stop may take; Docker kills after ten."""

log = logging.getLogger(__name__)


class OnlyOurSettings(FaustSettings):
    """Faust's settings as given in `new_app`; Faust's environment variables would override them."""

    def getenv(self, env_name: str) -> Any:
        """Return nothing: `fraudapp.settings` reads all variables, which are named `FRAUD_*`."""
        return None


class WorkerFirst(BootStrategy):
    """Starts `FraudApp.first` before all services that consume, and stops it after them."""

    def server(self) -> Iterable[ServiceT]:
        """See `BootStrategy.server`."""
        return [*cast(FraudApp, self.app).first, *super().server()]


class PlainWorker(faust.Worker):
    """Faust's worker without the spinner, and with the log of fraudapp.

    The spinner makes the root logger take the debug messages of every library, which costs time:
    aiokafka logs many. Warnings that aiokafka repeats are thinned.
    """

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """See `faust.Worker.on_setup_root_logger`."""
        self.spinner = None
        settings = cast(FraudApp, self.app).settings
        logs.set_up(logger, settings.log_format)
        if settings.log_format == "json":
            self.quiet = True
        limit_repeated_messages()


class FraudApp(faust.App):
    """Faust's app, with the changes above."""

    settings: Settings
    first: Sequence[ServiceT] = ()
    """Services that are started before all others, and stopped after them."""
    Settings = OnlyOurSettings
    BootStrategy = WorkerFirst

    async def on_first_start(self) -> None:
        """Refuse to serve everybody without keys, and create the private data folder."""
        if problem := self._exposure():
            log.critical("cannot start: %s", problem)
            raise SystemExit(1)
        try:
            make_private(self.settings.data_dir)
            await super().on_first_start()
        except OSError as exc:
            log.critical("cannot start: %s", exc)
            raise SystemExit(1) from exc

    def _exposure(self) -> str | None:
        if not self.conf.web_enabled or self.conf.web_transport.scheme == "unix":
            return None
        has_keys = bool(self.settings.keys)
        address = self.conf.web_bind  # `--web-bind` may have set it
        return refusal(address, has_keys=has_keys, open_to_all=self.settings.api_open)

    async def on_stop(self) -> None:
        """Stop in good order, or end the process if that takes longer than `STOP_TIMEOUT`.

        Faust and its client wait without end for a broker that does not answer. Nothing depends on
        an orderly stop: inputs that were not committed are read again, as after a crash.
        """
        last_resort = threading.Timer(STOP_TIMEOUT, self._end_process)
        last_resort.daemon = True
        last_resort.start()
        await super().on_stop()

    def _end_process(self) -> None:
        log.warning("still not stopped after %g s: this ends now, as by a crash", STOP_TIMEOUT)
        logging.shutdown()
        os._exit(1 if self._crashed.is_set() else 0)


def new_app(settings: Settings) -> FraudApp:
    """Return the app, with nothing registered yet; comments give the reasons for values."""
    app = FraudApp(
        settings.app_id,
        origin="fraudapp",
        broker=settings.broker_url,
        broker_credentials=faust_credentials(settings),
        datadir=str(settings.data_dir / "faust"),
        store="rocksdb://?driver=rocksdict",
        Worker=PlainWorker,
        PartitionAssignor=OwnersAssignor,
        topic_partitions=settings.topic_partitions,
        topic_replication_factor=settings.topic_replicas,
        # Otherwise Faust creates a topic for leader election, which nothing here needs.
        topic_disable_leader=True,
        # An exception in the agent ends the process, with nothing acknowledged. The default would
        # restart the agent and acknowledge the events it held: inputs of a batch would be lost.
        agent_supervisor=CrashingSupervisor,
        broker_session_timeout=settings.broker_session_timeout,
        broker_heartbeat_interval=settings.broker_heartbeat_interval,
        broker_rebalance_timeout=60.0,
        # A worker whose queues are full, as while the broker takes no appends, stops polling. After
        # this interval aiokafka would leave the group and never come back, so it is a week.
        broker_max_poll_interval=604_800.0,
        broker_commit_interval=1.0,
        broker_commit_every=20_000,
        # A full queue grows by one poll beyond its bound; the rest of a fetch takes less memory.
        broker_max_poll_records=2_000,
        # One event is a record batch of up to 500 inputs.
        stream_buffer_maxsize=16,
        stream_wait_empty=True,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_request_timeout=60.0,
        producer_max_request_size=2 * settings.max_message_bytes,
        consumer_max_fetch_size=max(2**20, settings.max_message_bytes),
        web_bind=settings.web_bind,
        web_host=settings.web_host,
        web_port=settings.web_port,
        web_tables_enabled=False,
        web_router_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
        web_metrics_enabled=False,
        web_application_options={"client_max_size": settings.max_body_bytes},
        worker_redirect_stdouts=False,
    )
    app.settings = settings
    # Faust's page at "/" says OK in any state; the overview of fraudapp takes its place.
    Web.production_blueprints = ()
    transport = SafeTransport([URL(url) for url in settings.broker_url.split(";")], app)
    transport.fetch_wait_ms = int(settings.broker_fetch_wait * 1_000)
    transport.max_fetch_delay = settings.batch_seconds / 5  # as FRAUD_BATCH_SECONDS says
    app.transport = transport
    return app
