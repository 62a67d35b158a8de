"""The JSON documents of answers other than decisions; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from models.activity import Recent
from models.records import FieldError
from tables.heartbeats import SinkStatus


class Pending(Struct, frozen=True):
    """A transaction that was accepted and has no decision yet."""

    transaction_id: str
    status: Literal["PENDING"]
    status_url: str


class Conflict(Struct, frozen=True):
    """A transaction whose id was used before, with another payload: it will not be decided."""

    transaction_id: str
    status: Literal["CONFLICT"]
    status_url: str


class BodyError(FieldError, frozen=True):
    """One thing wrong with a request, and where."""

    index: int | UnsetType = UNSET
    """Index of the item in the array; left out if the body is no array."""


class ProblemDocument(Struct, frozen=True):
    """An error, as RFC 9457 has it; members beyond these depend on the error."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | UnsetType = UNSET
    """The same as in the header `X-Request-ID` and in the log."""


class InvalidBody(ProblemDocument, frozen=True, kw_only=True):
    """A request with errors; nothing of it was accepted."""

    errors: list[BodyError]


class NotReady(ProblemDocument, frozen=True, kw_only=True):
    """Why a worker is not ready: the checks, of which at least one is false."""

    checks: dict[str, bool]


class Health(Struct, frozen=True):
    """The worker is alive; the state of its sinks."""

    status: Literal["alive"]
    stores: dict[str, SinkStatus]


class Ready(Struct, frozen=True):
    """The worker is ready: every check has passed."""

    status: Literal["ready"]
    checks: dict[str, bool]
    notes: list[str] | UnsetType = UNSET
    """Policies that are not in force here, and why; left out if there are none."""


class Stats(Struct, frozen=True):
    """Exact counts of the whole cluster."""

    decisions: dict[str, int]
    """`total`, and by outcome: `APPROVE`, `FLAG`, `BLOCK`."""
    duplicates: int
    dead_letters: dict[str, int]
    """`total`, and by reason."""
    partitions: dict[int, int]
    """Offset of the last input processed, by input partition."""
    model_version: str
    policy_version: str


class PartitionState(Struct, frozen=True):
    """One input partition."""

    number: int
    worker: str
    """The worker that owns it."""
    offset: int
    """Offset of the last input processed; -1 if there is none."""
    lag: int | None
    """Inputs that are not processed yet; None if not known yet."""
    unread: int
    """Records of the decision log that the worker has to read first, as after a failover."""
    unread_seconds: float | None
    """Estimated time for reading them, in seconds; None if not known yet."""


class WorkerState(Struct, frozen=True):
    """One worker, by its latest heartbeat."""

    name: str
    at: float
    """Time of its latest heartbeat, seconds since 1970."""
    partitions: list[int]
    latency: dict[str, float]
    """Seconds from message to decision in the last minute: `p50`, `p95`, `p99`; may be empty."""
    stores: dict[str, SinkStatus]
    model_version: str
    policy_version: str


class CapState(Struct, frozen=True):
    """A cap of the policy that has begun and not ended."""

    rule: str
    """The rule that is in test because of it; empty for the cap on all that is blocked."""
    share: float
    """The share that was seen."""
    since: datetime | None
    """When it began, by the broker's clock."""
    author: str
    """The worker that saw it."""
    note: str


class PolicyBrief(Struct, frozen=True):
    """What decides at this worker, and what a person has to know about it."""

    number: int
    """0 for the thresholds of the settings."""
    version: str
    author: str
    at: datetime | None
    """When it was proposed; None for the thresholds of the settings."""
    notes: list[str]
    """Policies that are not in force here, and why."""
    caps: list[CapState]


class Details(Struct, frozen=True):
    """All that the page shows. Counts are exact, the rest may be a second late."""

    at: float
    """Time of the answer, seconds since 1970."""
    stats: Stats
    recent: Recent
    partitions: list[PartitionState]
    workers: list[WorkerState]
    policy: PolicyBrief
