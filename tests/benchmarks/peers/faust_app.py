"""What both stock Faust contenders share: the record and an app with Faust's defaults."""

from __future__ import annotations

import faust

from fraudapp.settings import load

settings = load()


class Payment(faust.Record, serializer="json"):
    """A transaction."""

    transaction_id: str
    step: int
    type: str
    amount: float
    nameOrig: str
    oldbalanceOrg: float
    newbalanceOrig: float
    nameDest: str
    oldbalanceDest: float
    newbalanceDest: float
    isFraud: int = 0
    isFlaggedFraud: int = 0


def build() -> faust.App:
    """Return an app in a group and a folder of its own."""
    return faust.App(
        settings.app_id,
        broker=settings.broker_url,
        store="rocksdb://?driver=rocksdict",
        datadir=str(settings.data_dir / "faust"),
        topic_partitions=settings.topic_partitions,
        topic_disable_leader=True,
        web_port=settings.web_port,
        consumer_auto_offset_reset="earliest",
    )
