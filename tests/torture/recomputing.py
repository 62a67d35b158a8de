"""Recomputes decisions from the policies that they name, without any code of the program."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from zlib import crc32

from tests.torture.plans import Plan, fits, hits, is_over, moment, plan_of
from tests.torture.reading import Record

Decision = Mapping[str, Any]
MAX_SAID: Final = 10
_Ruled = tuple[str, list[str], list[str], float]
"""Outcome, rules that hit, codes of the lists and rules that asked for it, and share explored."""


class Change(NamedTuple):
    """What a record of the control topic says of one list entry, or of one cap."""

    offset: int
    there: bool
    expires_at: str | None


class Recomputing:
    """All that was ever in force, by the records of the control topic in their order."""

    def __init__(self, control: Iterable[Record], own: str = "") -> None:
        """`own` is the model of all workers, which scores where a policy names none."""
        self._own = own
        self.members: list[tuple[str, Plan]] = []
        """Id and plan of the policies of the chain."""
        self.losers = 0
        self._entries: defaultdict[str, dict[str, list[Change]]] = defaultdict(dict)
        self._caps: defaultdict[str, dict[str, list[Change]]] = defaultdict(dict)
        head, seen = "", set()
        for each in sorted(control, key=lambda each: each.offset):
            kind, _, rest = (each.key or b"").decode().partition("/")
            value = json.loads(each.value) if each.value else None
            if kind == "policy" and rest not in seen and value:
                seen.add(rest)
                if value["parent"] == head:
                    head = rest
                    self.members.append((rest, plan_of(value["text"])))
                else:
                    self.losers += 1
            elif kind == "list":
                name, _, entry = rest.partition("/")
                ends = (value or {}).get("expires_at")
                change = Change(each.offset, value is not None, ends)
                self._entries[name].setdefault(entry, []).append(change)
            elif kind == "cap" and value:
                policy, _, rule = rest.partition("/")
                change = Change(each.offset, value["on"], None)
                self._caps[policy].setdefault(rule, []).append(change)

    def wrong(self, decision: Decision) -> str | None:
        """What is wrong with a decision, by the policy that it names; None if nothing is."""
        expected: _Ruled
        shadow: dict[str, str]
        version, shadow = decision["policy_version"], {}
        number, _, offset = version.partition("+")
        if version.startswith("flag-"):
            expected, model = (_by_thresholds(decision), [], [], 0), self._own
        elif not (number.isdecimal() and 0 < int(number) <= len(self.members)):
            return f"names {version}, which was never in force"
        else:
            id_, plan = self.members[int(number) - 1]
            if not fits(plan):
                return f"names {version}, which does not fit"
            expected, model = self._ruled(decision, id_, plan, int(offset)), self._own
            is_capped = "" in self._capped(id_, int(offset), moment(decision["decided_at"]))
            of_policy = {**plan, "canary": 0} if is_capped else plan
            model, in_shadow = _models(decision, of_policy, plan.get("model") or model)
            shadow = {
                each: self._outcome(decision, said["score"], id_, plan, int(offset))
                for each, said in decision.get("shadow", {}).items()
            }
            if in_shadow != shadow.keys():
                return f"by {version} has {sorted(shadow)} in shadow, and not {sorted(in_shadow)}"
        if model and decision["model_version"] != model:
            return f"by {version} is scored by {decision['model_version']}, and not by {model}"
        told = {each: said["decision"] for each, said in decision.get("shadow", {}).items()}
        if told != shadow:
            return f"by {version} has {told} in shadow, expected {shadow}"
        codes = [each["code"] for each in decision["reasons"]]
        explored = decision.get("explored", 0)
        found = decision["decision"], decision.get("hits", []), codes[: len(expected[2])], explored
        return None if found == expected else f"by {version} is {found}, expected {expected}"

    def _outcome(self, decision: Decision, score: float, id_: str, plan: Plan, before: int) -> str:
        """What would be decided with another score, without the cap on all and without chance."""
        other, free = {**decision, "score": score}, {**plan, "explore": 0}
        outcome, _, codes, _ = self._ruled(other, id_, free, before)
        return "BLOCK" if "CAPPED" in codes else outcome

    def _ruled(self, decision: Decision, id_: str, plan: Plan, before: int) -> _Ruled:
        now, kind = moment(decision["decided_at"]), decision["transaction"]["type"]
        amount = decision["transaction"]["amount"]
        capped = self._capped(id_, before, now)
        watched = self._there("watched", before, now)
        rules = [
            each
            for each in plan["rules"]
            if each["mode"] != "off"
            and not is_over(each["expires_at"], now)
            and hits(each, decision, watched)
        ]
        ids = [each["id"] for each in rules]
        active = [e for e in rules if e["mode"] == "active" and e["id"] not in capped]
        blocked = plan["blocked"] and kind in self._there("blocked", before, now)
        if blocked or decision["transaction"]["isFlaggedFraud"]:
            return "BLOCK", ids, ["LIST_BLOCKED"] if blocked else [], 0
        trusted = plan["trusted"] and not is_over(plan["trusted"], now)
        letting = []
        if trusted and amount <= plan["up_to"] and kind in self._there("trusted", before, now):
            letting = ["LIST_TRUSTED"]
        letting += [_code(e) for e in active if e["then"] == "approve" and amount <= e["up_to"]]
        if letting:
            return "APPROVE", ids, letting[:MAX_SAID], 0
        asked = {each["then"] for each in active}
        outcome = _by(plan["flag_at"], plan["block_at"], decision["score"])
        if "block" in asked:
            outcome = "BLOCK"
        elif "flag" in asked and outcome == "APPROVE":
            outcome = "FLAG"
        codes = [_code(each) for each in active if each["then"] == outcome.lower()]
        if "" in capped and outcome == "BLOCK":
            return "FLAG", ids, ["CAPPED", *codes][:MAX_SAID], 0
        if "block" not in asked and outcome == "BLOCK" and _is_let_through(decision, plan):
            return "FLAG", ids, ["EXPLORED"], plan["explore"]
        return outcome, ids, codes[:MAX_SAID], 0

    def _capped(self, id_: str, before: int, now: datetime) -> set[str]:
        """The rules with a cap that has begun; the empty one is for the cap on all."""
        return {rule for rule, each in self._caps[id_].items() if _is_there(each, before, now)}

    def _there(self, name: str, before: int, now: datetime) -> set[str]:
        entries = self._entries[name].items()
        return {entry for entry, changes in entries if _is_there(changes, before, now)}


def _models(decision: Decision, plan: Plan, champion: str) -> tuple[str, set[str]]:
    """The model that decides, and those in its shadow."""
    named, sender = [*plan.get("shadow", ())], decision["transaction"]["nameOrig"]
    if plan.get("canary") and sender:
        hashed = blake2b(f"{named[0]}/{sender}".encode(), digest_size=6).hexdigest()
        if int(hashed, 16) / 2**48 < plan["canary"]:
            return named[0], {champion}
    return champion, {*named}


def _is_there(changes: list[Change], before: int, now: datetime) -> bool:
    at = bisect_left(changes, before, key=lambda each: each.offset)
    if not at or not changes[at - 1].there:
        return False
    ends = changes[at - 1].expires_at
    return ends is None or now < moment(ends)


def _is_let_through(decision: Decision, plan: Plan) -> bool:
    return crc32(decision["transaction_id"].encode()) / 2**32 < float(plan["explore"])


def _code(rule: Mapping[str, Any]) -> str:
    return f"RULE_{rule['id'].upper()}"


def _by(flag_at: float, block_at: float, score: float) -> str:
    if score >= block_at:
        return "BLOCK"
    return "FLAG" if score >= flag_at else "APPROVE"


def _by_thresholds(decision: Decision) -> str:
    if decision["transaction"]["isFlaggedFraud"]:
        return "BLOCK"
    flag_at, _, block_at = decision["policy_version"].removeprefix("flag-").partition("-block-")
    return _by(float(flag_at), float(block_at), decision["score"])
