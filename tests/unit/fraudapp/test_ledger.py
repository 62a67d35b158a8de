"""A ledger is a function of the log: whoever has read as far agrees with it."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from fraudapp.ledger import Ledger, LedgerInUse, LogRecord
from fraudapp.stores.base import encode
from models.activity import Activity
from models.records import Outcome
from tests.unit.decisions import decision


def record(offset: int, id_: str, outcome: Outcome) -> LogRecord:
    each = decision(id_, decision=outcome, offset=offset)
    return LogRecord(offset, each, encode(each))


logs = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(Outcome)), min_size=1, max_size=20
).map(lambda rows: [record(offset, *row) for offset, row in enumerate(rows)])


# Opens databases, which takes the longer the busier the machine is.
@settings(deadline=None)
@given(log=logs, data=st.data())
def test_the_first_decision_under_an_id_counts_however_the_log_is_read(
    tmp_path_factory: pytest.TempPathFactory, log: list[LogRecord], data: st.DataObject
) -> None:
    first: dict[str, LogRecord] = {}
    for each in log:
        first.setdefault(each.decision.transaction_id, each)
    folder = tmp_path_factory.mktemp("ledger") / "partition-0"
    ledger = Ledger(folder)
    while ledger.cursor < len(log):
        end = data.draw(st.integers(ledger.cursor + 1, len(log)))
        start = data.draw(st.integers(0, ledger.cursor))  # read again from anywhere before
        ledger.apply(log[start:end], end)
        if data.draw(st.booleans()):
            ledger.close()
            ledger = Ledger(folder)
    found = ledger.find(list("abcdefg"))
    assert found == {id_: each.decision for id_, each in first.items()}
    assert ledger.counts == Counter(each.decision.decision.value for each in first.values())
    activity = Activity()
    activity.add([each.decision for each in first.values()])
    assert ledger.activity == activity
    assert [each for each in log if ledger.is_first(each)] == list(first.values())
    ledger.close()


def test_a_damaged_ledger_begins_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "p")
    ledger.apply([record(0, "a", Outcome.BLOCK)], 1)
    ledger.close()
    for path in (tmp_path / "p").glob("MANIFEST*"):
        path.write_bytes(b"garbage")
    ledger = Ledger(tmp_path / "p")
    assert (ledger.cursor, ledger.find(["a"])) == (0, {})
    ledger.apply([record(0, "a", Outcome.BLOCK)], 1)
    ledger.clear()
    assert (ledger.cursor, ledger.counts, ledger.find(["a"])) == (0, {}, {})
    ledger.close()


def test_two_workers_cannot_share_a_folder(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "p")
    with pytest.raises(LedgerInUse, match="FRAUD_DATA_DIR"):
        Ledger(tmp_path / "p")
    ledger.close()


def test_a_ledger_of_a_version_without_activity_is_read_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "p")
    ledger.apply([record(0, "a", Outcome.BLOCK)], 1)
    ledger.close()
    with closing(Rdict(str(tmp_path / "p"), Options(raw_mode=True))) as files:
        files.delete(b"\x00activity")
    ledger = Ledger(tmp_path / "p")
    assert (ledger.cursor, ledger.counts, ledger.find(["a"])) == (0, {}, {})
    ledger.close()
