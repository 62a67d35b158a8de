"""A policy is tried without putting it in force: by the schema, and on past decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest

from models.control.records import Listed, entry
from models.records import Decision, Outcome
from tests.support.decisions import DECIDED_AT, decision
from tests.support.transactions import transaction
from tests.support.views import PATIENCE, Client, ViewBench
from tests.unit.web.control.asking import TEXT, WRONG, ask
from web.control import backtests


async def test_a_valid_policy_is_told_with_its_rules_and_lists(client: Client) -> None:
    for body, kind in (({"text": TEXT}, "application/json"), (TEXT, "application/toml")):
        status, told = await ask(client, "POST", "/policy/check", body, Content_Type=kind)
        assert (status, told) == (
            200,
            {"valid": True, "rules": ["large"], "lists": [], "errors": []},
        )


@pytest.mark.parametrize(
    ("text", "line", "column", "rule"),
    [
        (WRONG, 6, 9, "large"),
        (WRONG.replace("\n", "\r\n"), 6, 9, "large"),
        (TEXT.replace('then = "block"', 'then = "stop"'), 7, 1, "large"),
        (TEXT.replace("{amount:,.2f}", "{amoun}"), 8, 1, "large"),
        (TEXT.replace('owner = "payments"', ""), 4, 1, "large"),
        ("", 1, 1, None),
        ("flag_at = \n", 1, 11, None),
        ("flag_at = [1", 1, 13, None),
        ("flag_at = 0.9", 1, 1, None),
        ('[lists.mules]\nfield = "x"\nthen = "block"\nreason = "r"\nowner = "o"', 2, 1, None),
        ('model = "another"', 1, 1, None),
    ],
)
async def test_what_is_wrong_is_told_with_its_place(
    client: Client, text: str, line: int | None, column: int | None, rule: str | None
) -> None:
    status, told = await ask(client, "POST", "/policy/check", {"text": text})
    assert (status, told["valid"]) == (200, False)
    (error,) = told["errors"]
    assert (error["line"], error["column"], error["rule"]) == (line, column, rule), error
    assert not error["problem"].startswith(("line", "rule"))


async def test_all_that_is_wrong_is_told_at_once_up_to_a_bound(client: Client) -> None:
    text = "flg_at = 1\n" + TEXT + "mod = 1\n" + "[[rules]]\n" * 20
    _, told = await ask(client, "POST", "/policy/check", {"text": text})
    errors = told["errors"]
    assert len(errors) == 50
    assert [(each["line"], each["rule"]) for each in errors[:3]] == [
        (1, None),
        (11, "large"),
        (12, "2"),
    ]
    assert "did you mean flag_at?" in errors[0]["problem"]
    assert "did you mean mode?" in errors[1]["problem"]


def made(*amounts: float, decided: Outcome = Outcome.APPROVE) -> list[Decision]:
    return [
        decision(
            f"d{number}",
            decision=decided,
            score=0.1,
            decided_at=DECIDED_AT + timedelta(seconds=number // 2),
            transaction=transaction(f"d{number}", amount=amount, nameDest=f"C{number}"),
        )
        for number, amount in enumerate(amounts)
    ]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[list[Decision]]:
    """The decisions that the log has, as they are read."""
    held: list[list[Decision]] = []

    async def recent(settings: object, count: int) -> AsyncGenerator[list[Decision], None]:
        for each in held:
            yield each[:count]

    monkeypatch.setattr(backtests, "recent", recent)
    return held


async def test_a_backtest_counts_what_would_have_changed(
    log: list[list[Decision]], client: Client
) -> None:
    log += [made(1.0, 2e6, 3.0), made(5e6, decided=Outcome.BLOCK), made(*[1.0] * 60)]
    status, told = await ask(client, "POST", "/policy/backtest", {"text": TEXT})
    assert (status, told["rows"], told["changed"]) == (200, 64, 1)
    assert told["counts"]["APPROVE"] == {"APPROVE": 62, "FLAG": 0, "BLOCK": 1}
    assert told["counts"]["BLOCK"] == {"APPROVE": 0, "FLAG": 0, "BLOCK": 1}
    assert [(each["id"], each["hits"]) for each in told["rules"]] == [("large", 2)]
    assert told["first"] < told["last"]


async def test_lists_are_as_they_were_when_it_was_decided(
    bench: ViewBench, log: list[list[Decision]], client: Client
) -> None:
    until = DECIDED_AT + timedelta(seconds=1)
    listed = Listed(author="ann", expires_at=until)
    bench.parts.control.take([entry("mules", each, listed) for each in ("C0", "C1", "C2")])
    log += [made(1.0, 1.0, 1.0, 1.0)]
    text = TEXT.replace('when = "amount > 1_000_000"', 'when = "nameDest in @mules"')
    _, told = await ask(client, "POST", "/policy/backtest", {"text": text})
    assert (told["rules"][0]["hits"], told["changed"]) == (2, 2)


async def test_a_rule_about_features_has_them(log: list[list[Decision]], client: Client) -> None:
    log += [made(1.0, 2e6)]
    text = TEXT.replace('when = "amount > 1_000_000"', 'when = "log_amount > 10"')
    status, told = await ask(client, "POST", "/policy/backtest", {"text": text})
    assert (status, told["rules"][0]["hits"]) == (200, 1)


async def test_without_decisions_nothing_changes(log: list[list[Decision]], client: Client) -> None:
    status, told = await ask(client, "POST", "/policy/backtest", {"text": TEXT, "decisions": 1})
    assert (status, told["rows"], told["changed"]) == (200, 0, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": WRONG}, "text"),
        ({"text": TEXT, "decisions": 0}, "decisions"),
        ({"text": TEXT, "decisions": 50_001}, "decisions"),
        ({"decisions": 5}, ""),
    ],
)
async def test_a_backtest_that_cannot_be_is_refused(client: Client, body: Any, field: str) -> None:
    status, told = await ask(client, "POST", "/policy/backtest", body)
    assert (status, told["errors"][0]["field"]) == (422, field)


async def test_one_backtest_runs_at_a_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    running, may_end = asyncio.Event(), asyncio.Event()

    async def recent(settings: object, count: int) -> AsyncGenerator[list[Decision], None]:
        running.set()
        await may_end.wait()
        yield made(1.0)

    monkeypatch.setattr(backtests, "recent", recent)
    first = asyncio.ensure_future(ask(client, "POST", "/policy/backtest", {"text": TEXT}))
    await asyncio.wait_for(running.wait(), PATIENCE)
    async with client.post("/policy/backtest", json={"text": TEXT}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    may_end.set()
    assert (await asyncio.wait_for(first, PATIENCE))[0] == 200
    assert (await ask(client, "POST", "/policy/backtest", {"text": TEXT}))[0] == 200
