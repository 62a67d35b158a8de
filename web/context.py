"""The objects that views use. Faust instantiates views, so these are set on their classes."""

from __future__ import annotations

from dataclasses import dataclass

from fraudapp.explaining import Explainer
from fraudapp.faust_app import FraudApp
from fraudapp.settings import Settings
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables import Tables
from web.access import Access
from web.overview import Overview
from web.quality_told import QualityTold
from web.watch_told import WatchTold


@dataclass(frozen=True)
class Context:
    """The objects of one worker; `web.register` sets them on every view."""

    settings: Settings
    app: FraudApp
    worker: FraudWorker
    status: WorkerStatus
    tables: Tables
    access: Access
    overview: Overview
    quality: QualityTold
    explainer: Explainer
    watch: WatchTold
