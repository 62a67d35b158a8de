"""A recount of quality from two topics, by other means than the application's."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from aiokafka import ConsumerRecord

from tests.support import readback
from tests.support.labels import recounted

Cell = dict[str, Any]
Recount = dict[str, dict[Any, Any]]


def recount(
    decisions: Iterable[ConsumerRecord], labels: Iterable[ConsumerRecord], partitions: int
) -> Recount:
    """Cells by (week, model, policy, outcome), and hits, frauds and legitimate ones by rule."""
    decisions = sorted(decisions, key=lambda each: each.offset)
    effective = recounted(decisions, labels, partitions)
    cells: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    rules: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    seen = set()
    for record in decisions:
        each = json.loads(record.value)
        if record.key in seen:
            continue
        seen.add(record.key)
        week = monday(datetime.fromisoformat(each["decided_at"].replace("Z", "+00:00")))
        policy = each["policy_version"].partition("+")[0]
        cell = cells[week, each["model_version"], policy, each["decision"]]
        hit = [rules[week, rule] for rule in each.get("hits", [])]
        counted = [cell, *hit]
        for one in counted:
            one["rows"] += 1
        cell["score"] += round(each["score"] * 1_000_000)
        cell["explored"] += "explored" in each
        label = effective.get(each["transaction_id"], {}).get("label")
        if label is not None:
            for one in counted:
                one["frauds" if label else "legitimate"] += 1
        if label:
            cell["amount"] += round(each["transaction"]["amount"] / 0.01)
    return {"cells": cells_as_told(cells), "rules": rules_as_told(rules)}


def cells_as_told(cells: Mapping[Any, Counter[str]]) -> dict[Any, Cell]:
    """Counts of decisions, in the form of `told`."""
    return {
        key: {
            "rows": each["rows"],
            "explored": each["explored"],
            "frauds": each["frauds"],
            "legitimate": each["legitimate"],
            "expected": each["score"] / 1e6 / each["rows"],
            "observed": _share(each["frauds"], each["legitimate"]),
            "fraud_amounts": {"": each["amount"]} if each["amount"] else {},
        }
        for key, each in cells.items()
    }


def rules_as_told(rules: Mapping[Any, Counter[str]]) -> dict[Any, Cell]:
    """Counts of what rules hit, alike."""
    return {
        key: {name: each[name] for name in ("rows", "frauds", "legitimate")}
        for key, each in rules.items()
    }


def told(quality: Mapping[str, Any]) -> Recount:
    """The same of an answer of `/quality`."""
    cells, rules = {}, {}
    for period in quality["weeks"]:
        for version in period["versions"]:
            for outcome, each in version["measured"]["outcomes"].items():
                if each["rows"]:
                    key = period["week"], version["model"], version["policy"], outcome
                    share = each["observed"] and each["observed"]["value"]
                    cells[key] = {**each, "observed": share}
        for rule in period["rules"]:
            rules[period["week"], rule["rule"]] = {
                name: rule[name] for name in ("rows", "frauds", "legitimate")
            }
    return {"cells": cells, "rules": rules}


async def in_topics(environment: Mapping[str, str], partitions: int = 4) -> Recount:
    """What the topics of decisions and of labels come to now."""
    decisions = await readback.in_topic(environment, "decisions")
    return recount(decisions, await readback.in_topic(environment, "labels"), partitions)


def monday(when: datetime) -> str:
    """The day with which a week begins in UTC."""
    utc = when.astimezone(timezone.utc)
    return (utc - timedelta(days=utc.weekday())).date().isoformat()


def _share(frauds: int, legitimate: int) -> float | None:
    return frauds / (frauds + legitimate) if frauds + legitimate else None
