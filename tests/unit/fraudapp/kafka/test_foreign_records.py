"""What others write is told, and tells nothing to a terminal or to whoever reads the log."""

from __future__ import annotations

import msgspec
import pytest

from fraudapp.decisions.batch import decode, encode
from fraudapp.kafka.foreign_records import LONGEST, passed_over
from tests.unit.decisions import decision


@pytest.mark.parametrize("text", ["\\u001b[2J", "\\n2026-01-01 forged", "\\u202e", "x" * 10_000])
def test_a_record_that_is_none_of_ours_is_told_on_one_line(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(encode(decision()).replace(b'"BLOCK"', f'"{text}"'.encode()))
    passed_over("decisions", 0, hash(text), caught.value)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert len(record.getMessage()) < LONGEST + 200
