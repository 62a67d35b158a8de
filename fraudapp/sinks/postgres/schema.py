"""The tables of the Postgres sink, as SQLAlchemy models that migrations are checked against."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Double,
    Index,
    Integer,
    SmallInteger,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Holds the metadata that migrations are checked against."""


class DecisionRow(Base):
    """One decision with its transaction, in the partition of its UTC day.

    The decision log guarantees one decision for each id. The primary key includes `decided_at`
    because Postgres requires the partition column in it. `decided_at` is part of the decision in
    the log, so a decision that is saved again has the same key and is not there twice.

    `rows` says which columns a transaction is in.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_decided_at", "decided_at"),
        {"postgresql_partition_by": "RANGE (decided_at)"},
    )

    transaction_id: Mapped[str] = mapped_column(Text, primary_key=True)
    decision: Mapped[str] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Double)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    model_version: Mapped[str] = mapped_column(Text)
    policy_version: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    input_topic: Mapped[str] = mapped_column(Text)
    input_partition: Mapped[int] = mapped_column(Integer)
    input_offset: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int | None] = mapped_column(Integer)
    type: Mapped[str | None] = mapped_column(Text)
    amount: Mapped[float | None] = mapped_column(Double)
    name_orig: Mapped[str | None] = mapped_column(Text)
    oldbalance_org: Mapped[float | None] = mapped_column(Double)
    newbalance_orig: Mapped[float | None] = mapped_column(Double)
    name_dest: Mapped[str | None] = mapped_column(Text)
    oldbalance_dest: Mapped[float | None] = mapped_column(Double)
    newbalance_dest: Mapped[float | None] = mapped_column(Double)
    is_fraud: Mapped[int | None] = mapped_column(SmallInteger)
    is_flagged_fraud: Mapped[int | None] = mapped_column(SmallInteger)
    transaction: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    schema_version: Mapped[str | None] = mapped_column(Text)
    hits: Mapped[list[str] | None] = mapped_column(JSONB)
    profile: Mapped[dict[str, float] | None] = mapped_column(JSONB)
    profile_version: Mapped[str | None] = mapped_column(Text)
    profile_lag: Mapped[float | None] = mapped_column(Double)
    explored: Mapped[float | None] = mapped_column(Double)
    shadow: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class LabelRow(Base):
    """The last label of one source on a transaction, as the newest record of it says.

    All rows of a transaction have the same version. They are deleted with its decision.
    """

    __tablename__ = "labels"
    __table_args__ = (Index("ix_labels_decided_at", "decided_at"),)

    transaction_id: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    label: Mapped[int] = mapped_column(SmallInteger)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    by: Mapped[str] = mapped_column(Text)
    effective: Mapped[bool] = mapped_column(Boolean)
    input_partition: Mapped[int] = mapped_column(Integer)
    input_offset: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DailyReportRow(Base):
    """The report of one UTC day, as it was last written."""

    __tablename__ = "daily_reports"

    date: Mapped[date] = mapped_column(Date, primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    written_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
