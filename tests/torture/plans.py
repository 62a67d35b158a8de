"""Policies that the torture publishes, in a form that its checker computes without the program."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

CONDITIONS: Final = {
    "large": "amount > {x}",
    "watched": "type in @watched and amount > {x}",
    "sure": "score > {x} / 1_000_000 and type == 'TRANSFER'",
    "drained": "newbalanceOrig == 0 and oldbalanceOrg > {x}",
    "busy": "sent_5m > {x} / 100_000",
    "spending": "spent_24h + amount > 100 * {x}",
    "risky": "risk > {x} / 2_000_000",
    "fresh": "missing(rested) and amount > {x}",
    "impossible": "amount / newbalanceDest > {x}",  # it is always 0: no rule can divide by it
    "unknown": "nobody_knows > {x}",
}
"""The last fits no schema, so a policy with it is never in force."""
OF_PROFILES: Final = ("busy", "spending", "risky", "fresh")
"""Those that look at values of profiles."""
MODES: Final = ("active", "active", "active", "test", "off")
_SELDOM: Final = {"impossible": 4, "unknown": 1}
NO_MODEL: Final = "logistic-0000000000000000"
"""A version that is nowhere: a policy that names it is never in force."""
_NO_MODEL_SHARE: Final = 0.05
ACTIONS: Final = ("block", "flag", "approve")

Plan = Mapping[str, Any]


def new_plan(
    random_: random.Random, now: datetime, *, remembers: bool = True, models: Sequence[str] = ()
) -> dict[str, Any]:
    """A policy by chance, as plain values; by what accounts did before if a worker `remembers`.

    It may name one of the `models`, and others in its shadow.
    """
    kinds = [each for each in CONDITIONS if remembers or each not in OF_PROFILES]
    flag_at = round(random_.uniform(0.2, 0.7), 3)
    model = _model(random_, models)
    shadow = _shadow(random_, [each for each in models if each != model])
    return {
        "flag_at": flag_at,
        "block_at": round(random_.uniform(flag_at, 0.95), 3),
        "rules": [_rule(number, kinds, random_, now) for number in range(random_.randint(0, 8))],
        "blocked": random_.random() < 0.6,
        "trusted": _end(random_, now) if random_.random() < 0.5 else None,
        "up_to": random_.randint(1, 500_000),
        "explore": round(random_.uniform(0, 0.1), 4) if random_.random() < 0.4 else 0,
        "model": model,
        "shadow": shadow,
        "canary": round(random_.random(), 4) if len(shadow) == 1 and random_.random() < 0.5 else 0,
        "odd": random_.random(),  # so that no two are alike
    }


def _model(random_: random.Random, models: Sequence[str]) -> str | None:
    if not models:
        return None
    if random_.random() < _NO_MODEL_SHARE:
        return NO_MODEL
    return random_.choice([None, *models])


def _shadow(random_: random.Random, models: Sequence[str]) -> list[str]:
    if not models or random_.random() < 0.4:
        return []
    shadow = random_.sample(models, random_.randint(1, len(models)))
    return [*shadow, NO_MODEL] if random_.random() < _NO_MODEL_SHARE else shadow


def _rule(
    number: int, kinds: Sequence[str], random_: random.Random, now: datetime
) -> dict[str, Any]:
    kind = random_.choices(kinds, weights=[_SELDOM.get(each, 10) for each in kinds])[0]
    then = random_.choice(ACTIONS)
    ends = then == "approve" or random_.random() < 0.3
    return {
        "id": f"{kind}_{number}",
        "kind": kind,
        "x": random_.randint(0, 1_000_000),
        "then": then,
        "mode": random_.choice(MODES),
        "expires_at": _end(random_, now) if ends else None,
        "up_to": random_.randint(1, 500_000) if then == "approve" else None,
    }


def _end(random_: random.Random, now: datetime) -> str:
    """A moment soon, so that decisions lie on both sides of it."""
    return (now + timedelta(seconds=random_.uniform(-5, 20))).isoformat()


def as_toml(plan: Plan) -> str:
    """The policy file that the plan is; its first line has the plan itself."""
    lines = [f"# {json.dumps(plan)}"]
    lines += [f"flag_at = {plan['flag_at']}", f"block_at = {plan['block_at']}"]
    if plan.get("model"):
        lines.append(f'model = "{plan["model"]}"')
    if plan.get("shadow"):
        lines.append(f"shadow = {json.dumps(plan['shadow'])}")
    if plan.get("canary"):
        lines.append(f"canary = {plan['canary']}")
    if plan["explore"]:
        lines.append(f"explore = {plan['explore']}")
    for rule in plan["rules"]:
        when = CONDITIONS[rule["kind"]].format(x=rule["x"])
        lines += ["[[rules]]", f'id = "{rule["id"]}"', f'when = "{when}"']
        lines += [f'then = "{rule["then"]}"', f'mode = "{rule["mode"]}"']
        lines += ['reason = "It has {amount:,.2f}."', 'owner = "torture"']
        lines += _bounds(rule)
    if plan["blocked"]:
        lines += ["[lists.blocked]", 'field = "type"', 'then = "block"']
        lines += ['reason = "A {type} is blocked."', 'owner = "torture"']
    if plan["trusted"]:
        lines += ["[lists.trusted]", 'field = "type"', 'then = "approve"']
        lines += ['reason = "A {type} is trusted."', 'owner = "torture"']
        lines += _bounds({"expires_at": plan["trusted"], "up_to": plan["up_to"]})
    return "\n".join(lines)


def plan_of(text: str) -> dict[str, Any]:
    """The plan of a policy file."""
    found: dict[str, Any] = json.loads(text.split("\n", 1)[0].removeprefix("# "))
    return found


def _bounds(given: Mapping[str, Any]) -> list[str]:
    lines = [f"expires_at = {given['expires_at']}"] if given["expires_at"] else []
    return [*lines, f"up_to = {given['up_to']}"] if given["up_to"] else lines


def fits(plan: Plan) -> bool:
    """Whether it can be in force."""
    is_known = NO_MODEL not in (plan.get("model"), *plan.get("shadow", ()))
    return is_known and all(each["kind"] != "unknown" for each in plan["rules"])


def hits(rule: Mapping[str, Any], decision: Mapping[str, Any], watched: set[str]) -> bool:
    """Whether a rule hits, by its meaning."""
    sent, x = decision["transaction"], rule["x"]
    known = {"sent_5m": 0.0, "risk": 0.0, **decision.get("profile", {})}
    meant: dict[str, bool] = {
        "large": sent["amount"] > x,
        "watched": sent["type"] in watched and sent["amount"] > x,
        "sure": decision["score"] > x / 1_000_000 and sent["type"] == "TRANSFER",
        "drained": sent["newbalanceOrig"] == 0 and sent["oldbalanceOrg"] > x,
        "busy": known["sent_5m"] > x / 100_000,
        "spending": "spent_24h" in known and known["spent_24h"] + sent["amount"] > 100 * x,
        "risky": known["risk"] > x / 2_000_000,
        "fresh": "rested" not in known and sent["amount"] > x,
        "impossible": False,
    }
    return meant[rule["kind"]]


def is_over(expires_at: str | None, now: datetime) -> bool:
    """Whether something has expired at a moment."""
    return expires_at is not None and now >= datetime.fromisoformat(expires_at)


def moment(text: str) -> datetime:
    """The moment that a decision or a record tells."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
