"""Metrics of profiles."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from fraudapp.metrics import registry

lag: Final = Gauge(
    "fraud_profile_lag_seconds",
    "For how long this worker's profiles have been behind the log of decisions.",
    registry=registry,
)
allowed_lag: Final = Gauge(
    "fraud_profile_allowed_lag_seconds",
    "For how long profiles may be behind before decisions say so.",
    registry=registry,
)
late: Final = Counter(
    "fraud_profile_late_decisions",
    "Decisions by profiles that were further behind than the settings allow.",
    registry=registry,
)
kept: Final = Gauge(
    "fraud_profiles_kept",
    "Profiles and labels on this worker's disk, as RocksDB estimates them.",
    registry=registry,
)
disk_bytes: Final = Gauge(
    "fraud_profile_disk_bytes",
    "Bytes of profiles and labels on this worker's disk.",
    registry=registry,
)
removed: Final = Counter(
    "fraud_profiles_removed",
    "Profiles and labels that were removed because they are in no window any more.",
    registry=registry,
)
snapshot_age: Final = Gauge(
    "fraud_profile_snapshot_age_seconds",
    "Age of the newest snapshot of profiles, on the worker that writes them; else no number.",
    registry=registry,
)
snapshot_interval: Final = Gauge(
    "fraud_profile_snapshot_interval_seconds",
    "Seconds after which a snapshot of profiles is to be written; 0 for never.",
    registry=registry,
)
snapshot_bytes: Final = Gauge(
    "fraud_profile_snapshot_bytes",
    "Size of the last snapshot of profiles that this worker has written.",
    registry=registry,
)
