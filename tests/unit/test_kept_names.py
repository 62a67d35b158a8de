"""Names that users have written down go on to work: settings, metrics, keys of answers, topics."""

from __future__ import annotations

import typing

import pytest
from msgspec import Struct

from fraudapp import metrics
from fraudapp.application import build
from fraudapp.settings import described, load
from models.counts import Counts
from tables.heartbeats import Heartbeat
from web import schemas

SETTINGS = """
    API_KEYS API_KEYS_FILE API_OPEN APP_ID ARCHIVE_DAYS ARCHIVE_URL BATCH_SECONDS BLOCK_AT
    BROKER_CA_FILE BROKER_CERT_FILE BROKER_FETCH_WAIT BROKER_HEARTBEAT_INTERVAL BROKER_KEY_FILE
    BROKER_PASSWORD BROKER_SASL_MECHANISM BROKER_SECURITY BROKER_SESSION_TIMEOUT BROKER_URL
    BROKER_USER DATA_DIR DEAD_LETTERS_TOPIC DECISIONS_TOPIC FLAG_AT LOG_FORMAT MAX_BODY_BYTES
    MAX_MESSAGE_BYTES MODEL_KIND MODEL_VERSION POSTGRES_CA_FILE POSTGRES_DAYS POSTGRES_POOL
    POSTGRES_SSLMODE POSTGRES_URL RATE_LIMIT REDIS_CA_FILE REDIS_TTL REDIS_URL S3_ACCESS_KEY_ID
    S3_ADDRESSING S3_CA_FILE S3_ENDPOINT_URL S3_REGION S3_SECRET_ACCESS_KEY START_TIMEOUT
    TOPIC_PARTITIONS TOPIC_REPLICAS TRAINING_FILE TRANSACTIONS_TOPIC WEB_BIND WEB_CONNECTIONS
    WEB_HOSTS WEB_PORT WEB_PROXIES
"""
METRICS = """
    fraud_api_keys_refused fraud_batch_messages fraud_consumer_lag_messages fraud_dead_letters
    fraud_decision_latency_seconds fraud_decisions fraud_duplicates fraud_foreign_records
    fraud_http_request_seconds fraud_http_requests fraud_lost_messages fraud_model_info
    fraud_stage_seconds fraud_store_behind_decisions fraud_store_errors fraud_store_save_seconds
    fraud_store_up fraud_waiting_callers
"""
STAGES = ("ledger", "read", "admit", "score", "append", "reject", "count")
"""Values of the label of `fraud_stage_seconds`, by which dashboards select."""
HEARTBEAT = """
    worker at cursor high_water latency stores model_version policy_version activity stored unread
    unread_seconds for_caps
"""
"""Keys in a changelog that workers of both versions read during a rolling upgrade."""
PARTITION = ["number", "worker", "offset", "lag", "unread", "unread_seconds"]


def test_every_setting_of_before_is_one() -> None:
    assert {f"FRAUD_{name}" for name in SETTINGS.split()} <= {name for name, _, _ in described()}


def test_every_metric_of_before_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    build(load({}))  # which imports all that declares metrics
    state = metrics.WorkerState(
        counts={0: Counts(1, {"APPROVE": 1, "invalid": 1})},
        lags={0: 1},
        sinks={"redis": metrics.SinkState(0, False)},
        model_version="m",
        policy_version="p",
        waiting=0,
    )
    monkeypatch.setattr(metrics.worker, "source", lambda: state)
    assert {*METRICS.split()} <= {each.name for each in metrics.registry.collect()}
    assert typing.get_args(metrics.Stage) == STAGES


@pytest.mark.parametrize(
    ("kind", "keys"), [(Heartbeat, HEARTBEAT.split()), (schemas.PartitionState, PARTITION)]
)
def test_keys_that_others_read_are_those_of_before(kind: type[Struct], keys: list[str]) -> None:
    assert list(kind.__struct_encode_fields__) == keys
