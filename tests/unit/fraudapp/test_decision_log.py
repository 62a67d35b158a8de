"""What the decision log does without a broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraudapp.decision_log import DecisionLog
from fraudapp.ledger import Ledger
from fraudapp.stores.base import Batch
from tests.unit.decisions import decision


def test_a_ledger_that_cannot_be_written_is_let_go_of_and_the_others_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = Ledger(tmp_path / "0"), Ledger(tmp_path / "1")
    broken.close()
    log = DecisionLog.__new__(DecisionLog)  # its clients need a loop
    log._ledgers = {0: broken, 1: sound}
    log._read_in, log._left, log._fresh_until, log._unusable = {}, {}, {}, {}
    sound.extend(Batch([decision("a")]))
    log.settle()
    assert "it is made anew from partition 0 of the log" in caplog.text
    assert list(log._ledgers) == [1]
    log.settle()
    assert sound.cursor == 1
    assert sound._db.property_int_value("rocksdb.num-entries-active-mem-table") == 0
    sound.close()
