"""Every decision that a worker can write is read back from the log, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import encode
from fraudapp.decisions.log_records import log_records
from models import characters
from models.key_hash import key_partitions
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.support.decisions import decision
from tests.support.transactions import transaction

PARTITIONS = 4
TEXTS = st.text(min_size=1, max_size=40).filter(characters.allowed) | st.sampled_from(
    ["C:\\u0000x", "\\u0000", "\\\\u0000", "\\", '"', "a\\ud800"]
)


def record(written: Decision) -> ConsumerRecord[Any, Any]:
    key, value = written.transaction_id.encode(), encode(written)
    (partition,) = key_partitions([written.transaction_id], PARTITIONS)
    return ConsumerRecord("d", partition, 7, 0, 0, key, value, None, len(key), len(value), [])


@given(transaction_id=TEXTS, sender=TEXTS, receiver=TEXTS)
def test_whatever_is_accepted_is_read_back(transaction_id: str, sender: str, receiver: str) -> None:
    sent = transaction(transaction_id, nameOrig=sender, nameDest=receiver)
    taken = PAYSIM.parser.parse(msgspec.json.encode(sent))
    written = decision(taken.transaction_id, transaction=taken)
    (read,) = log_records([record(written)], PARTITIONS)
    assert read.decision == written


def test_a_character_of_a_newer_unicode_is_read_back() -> None:
    """Workers with another version of Python accept it."""
    assert len(log_records([record(decision("\U0003ffff"))], PARTITIONS)) == 1


@pytest.mark.parametrize("text", ["\0", "\x1b", "\x7f", "\u202e"])
@pytest.mark.parametrize("field", ["nameOrig", "nameDest"])
def test_a_character_that_no_worker_accepts_is_skipped(field: str, text: str) -> None:
    written = decision("a", transaction=transaction("a", **{field: text}))
    assert log_records([record(written)], PARTITIONS) == []


def test_a_nul_that_postgres_does_not_take_is_skipped() -> None:
    written = decision(model_version="a\0")
    assert log_records([record(written)], PARTITIONS) == []


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\n", b"\x1f"])
def test_a_control_character_that_is_not_escaped_is_no_json(byte: bytes) -> None:
    written = record(decision("a", transaction=transaction("a", nameOrig="C1")))
    raw = replace(written, value=written.value.replace(b'"C1"', b'"C%b"' % byte))
    assert log_records([raw], PARTITIONS) == []
