"""The daily report is summed up correctly, and says what is unknown."""

from __future__ import annotations

import csv
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.reports.daily import Cell, as_text, summarise
from fraudapp.reports.render import as_csv, as_html

DAY = date(2026, 1, 2)
cells = st.lists(
    st.builds(
        Cell,
        type=st.sampled_from(["TRANSFER", "PAYMENT"]),
        decision=st.sampled_from(["APPROVE", "FLAG", "BLOCK"]),
        is_fraud=st.sampled_from([0, 1]),
        transactions=st.integers(1, 10),
        amount=st.floats(0, 1e9),
    ),
    max_size=12,
)


@given(cells)
def test_every_transaction_is_counted_once_in_every_table(day: list[Cell]) -> None:
    report = summarise(DAY, day)
    total = sum(cell.transactions for cell in day)
    assert report.total == sum(report.by_decision.values()) == total
    assert sum(sum(row.values()) for row in report.by_type.values()) == total
    fraud = sum(cell.transactions for cell in day if cell.is_fraud)
    assert report.labelled_fraud == (fraud or None)
    assert (report.confusion is None) == (fraud == 0)
    assert sum(sum(row.values()) for row in (report.confusion or {}).values()) in (0, total)
    assert f"{total:,}" in as_text(report) or not total


def test_precision_and_recall_are_as_defined() -> None:
    day = [
        Cell("TRANSFER", "BLOCK", 1, 8, 80.0),
        Cell("TRANSFER", "BLOCK", 0, 2, 20.0),
        Cell("PAYMENT", "FLAG", 1, 1, 5.0),
        Cell("PAYMENT", "APPROVE", 1, 1, 5.0),
        Cell("PAYMENT", "APPROVE", 0, 88, 5.0),
    ]
    report = summarise(DAY, day)
    assert (report.precision_block, report.recall_block, report.recall_stopped) == (0.8, 0.8, 0.9)
    assert report.amount_by_decision == {"APPROVE": 10.0, "FLAG": 5.0, "BLOCK": 100.0}


def test_without_labels_precision_and_recall_are_unknown_everywhere() -> None:
    report = summarise(
        DAY, [Cell("TRANSFER", "BLOCK", 0, 7, 80.0), Cell("DEBIT", "FLAG", 0, 2, 1.0)]
    )
    assert (report.precision_block, report.recall_block, report.recall_stopped) == (None,) * 3
    assert (report.labelled_fraud, report.confusion) == (None, None)
    text = as_text(report)
    for shown in (text, as_html(report)):
        assert "how many of the 7 blocked are fraud, is unknown" in shown
        assert "%" not in text
        assert "legitimate" not in text
    labels = [row for row in csv.DictReader(as_csv(report).splitlines()) if _of_labels(row)]
    assert len(labels) == 6
    assert {row["value"] for row in labels} == {""}


def _of_labels(row: dict[str, str]) -> bool:
    return row["section"] == "labels" or "labelled" in row["measure"]


def test_with_some_labels_the_report_says_how_many_there_are() -> None:
    day = [
        Cell("TRANSFER", "BLOCK", 1, 3, 80.0),
        Cell("TRANSFER", "BLOCK", 0, 7, 80.0),
        Cell("TRANSFER", "APPROVE", 1, 1, 8.0),
    ]
    text = as_text(summarise(DAY, day))
    assert "Of 4 labelled as fraud, 75.0% were blocked and 75.0% blocked or flagged." in text
    assert "Of 10 blocked, 30.0% are labelled as fraud; the others are legitimate or not" in text


def test_labels_without_a_block_leave_out_the_share_of_blocks() -> None:
    text = as_text(summarise(DAY, [Cell("TRANSFER", "APPROVE", 1, 1, 8.0)]))
    assert "Of 1 labelled as fraud, 0.0% were blocked" in text
    assert "Of 0 blocked" not in text


def test_the_report_of_a_day_without_decisions_says_so() -> None:
    report = summarise(DAY, [])
    assert (report.total, report.precision_block) == (0, None)
    assert as_text(report).startswith("No decisions were made on 2026-01-02 (UTC).")
    assert "broker could not be reached" in as_text(report)


def test_amounts_in_several_currencies_are_never_added() -> None:
    day = [
        Cell("food", "BLOCK", 1, 8, 80.0, "EUR"),
        Cell("food", "APPROVE", 0, 2, 20.0, "EUR"),
        Cell("fuel", "APPROVE", 0, 1, 5.0, "SEK"),
        Cell("fuel", "FLAG", 0, 1, 5.0, None),
        Cell("fuel", "FLAG", 0, 1, 2.0, ""),
    ]
    report = summarise(DAY, day)
    assert report.amount_by_decision is None
    assert report.amount_by_currency == {
        "(unknown)": {"APPROVE": 0.0, "FLAG": 7.0, "BLOCK": 0.0},
        "EUR": {"APPROVE": 20.0, "FLAG": 0.0, "BLOCK": 80.0},
        "SEK": {"APPROVE": 5.0, "FLAG": 0.0, "BLOCK": 0.0},
    }
    text = as_text(report)
    assert [line.split() for line in text.splitlines() if line.startswith("EUR")] == [
        ["EUR", "20.00", "0.00", "80.00"]
    ]
    assert ",amount,EUR,BLOCK,80.0\n" in as_csv(report)
    assert "105" not in text


def test_in_one_currency_the_sum_is_that_of_the_day() -> None:
    report = summarise(DAY, [Cell("food", "BLOCK", 1, 8, 80.0, "EUR")])
    assert report.amount_by_decision == report.amount_by_currency["EUR"]


def test_what_transactions_do_not_have_is_left_out() -> None:
    report = summarise(DAY, [Cell(None, "BLOCK", 0, 8, None), Cell(None, "FLAG", 0, 1, None)])
    assert (report.amount_by_decision, report.by_type) == (None, {})
    text = as_text(report)
    assert "amount" not in text
    assert "(unknown)" not in text
    assert "<h2>Amounts</h2>" not in as_html(report)
    assert ",decision,BLOCK,amount,\n" in as_csv(report)


def test_of_many_types_the_rarest_are_summed_up() -> None:
    day = [Cell(f"k{number:03}", "APPROVE", 0, 100 - number, 1.0) for number in range(30)]
    report = summarise(DAY, [*day, Cell(None, "APPROVE", 0, 1_000, 1.0)])
    assert len(report.by_type) == 20
    assert report.by_type["(unknown)"]["APPROVE"] == 1_000
    assert report.by_type["k017"]["APPROVE"] == 83
    assert report.by_type["(others)"]["APPROVE"] == sum(100 - number for number in range(18, 30))
    assert list(report.by_type)[-1] == "(others)"


def test_a_type_is_shown_whole() -> None:
    text = as_text(summarise(DAY, [Cell("groceries_and_more", "APPROVE", 0, 12_345, 1.0)]))
    assert ["groceries_and_more", "12,345", "0", "0"] in map(str.split, text.splitlines())
