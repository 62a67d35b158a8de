"""A foreign record is logged on one line, whatever its sender has put into it."""

from __future__ import annotations

import msgspec
import pytest

from fraudapp.decisions.batch import encode
from fraudapp.kafka.foreign_records import MAX_REASON_CHARACTERS, report_foreign_record
from models.schema.schema import PAYSIM
from tests.support.decisions import decision


@pytest.mark.parametrize("text", ["\\u001b[2J", "\\n2026-01-01 forged", "\\u202e", "x" * 10_000])
def test_a_foreign_record_is_logged_on_one_bounded_printable_line(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        PAYSIM.decode(encode(decision()).replace(b'"BLOCK"', f'"{text}"'.encode()))
    report_foreign_record("decisions", 0, hash(text), caught.value)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < MAX_REASON_CHARACTERS + 200
