"""The quality in a daily report is what the labels in Postgres come to."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert

from fraudapp.decisions.batch import Batch
from fraudapp.reports import from_postgres, quality
from fraudapp.reports.daily import DailyReport, as_text
from fraudapp.reports.render import as_csv, as_html
from fraudapp.settings import load
from fraudapp.sinks.postgres.connection import engine
from fraudapp.sinks.postgres.schema import LabelRow
from fraudapp.sinks.postgres.sink import PostgresSink
from models.records import Decision, Outcome
from tests.support.decisions import DECIDED_AT, decision
from tests.unit.models.quality import recounted

LABELS = {"t0": 1, "t1": 0, "t2": 1, "t3": 1, "t4": 1, "other": 1}


def made() -> list[Decision]:
    by = (Outcome.BLOCK, Outcome.BLOCK, Outcome.FLAG, Outcome.FLAG, Outcome.APPROVE, Outcome.BLOCK)
    found = [
        decision(
            f"t{n}",
            decision=outcome,
            score=n / 7,
            hits=["large"] * (n % 2),
            policy_version=f"2+{n}",
            explored=0.01 if n == 3 else 0.0,
        )
        for n, outcome in enumerate(by)
    ]
    return [*found, decision("other", decided_at=DECIDED_AT + timedelta(days=1))]


async def reported(url: str, decisions: list[Decision]) -> DailyReport:
    sink = PostgresSink(url)
    await sink.open()
    await sink.save(Batch(decisions))
    await sink.close()
    database = engine(load({"FRAUD_POSTGRES_URL": url}))
    common = {"at": DECIDED_AT, "by": "ann", "input_partition": 0, "input_offset": 0, "version": 0}
    async with database.begin() as connection:
        for each in decisions:
            if (label := LABELS.get(each.transaction_id)) is not None:
                about = {"transaction_id": each.transaction_id, "decided_at": each.decided_at}
                for source, effective in (("analyst", True), ("customer", False)):
                    row = {"source": source, "effective": effective, **about, **common}
                    counts = label if effective else 1 - label
                    await connection.execute(insert(LabelRow).values(**row, label=counts))
    try:
        report, _ = await from_postgres.read(database, DECIDED_AT.date())
    finally:
        await database.dispose()
    return report


async def test_the_decisions_of_the_day_are_judged_by_their_effective_labels(
    postgres_url: str,
) -> None:
    report = await reported(postgres_url, made())
    of_day, found = made()[:-1], report.quality
    assert found
    assert found.labelled == 5 / 6
    expected = recounted.decided(of_day)
    labelled = recounted.labelled(of_day, LABELS)
    for key, (rows, score, explored) in expected.items():
        each = found.measured.outcomes[key[3]]
        assert (each.rows, each.explored, each.expected) == (rows, explored, score / 1e6 / rows)
        frauds, legitimate, amount = labelled.get(key, (0, 0, 0))
        assert (each.frauds, each.legitimate) == (frauds, legitimate)
        assert each.fraud_amounts.get("", 0) == amount
    (version,) = found.versions
    assert (version.model, version.policy, version.measured) == ("m1", "2", found.measured)
    (rule,) = found.rules
    assert (rule.rule, rule.rows, rule.frauds, rule.legitimate) == ("large", 3, 1, 1)
    control = found.measured.control
    assert control
    assert control.recall
    assert (control.rows, control.frauds, control.recall.value) == (1, 1, 100 / 102)
    text = as_text(report)
    assert "Quality, by labels on 83.3% of the decisions:" in text
    assert "Rule large: 3 hits, 1 frauds and 1 legitimate." in text
    assert "Control group: 1 let through, 1 of them frauds" in as_html(report)
    assert "quality,BLOCK,frauds,1" in as_csv(report)


async def test_without_labels_nothing_is_made_up(postgres_url: str) -> None:
    report = await reported(postgres_url, [decision("without")])
    assert report.quality is None
    assert [*quality.lines(None)] == ["Quality: unknown, no label has come on these decisions."]
    assert "quality" not in as_csv(report)
