"""A policy of 100 rules on PaySim's transactions, and the lists that it looks into.

Twenty conditions such as analysts write, each with five different limits, and five comparisons on
average. Each rule is about few transactions or in test, so that the policy costs what rules and
lists cost, and not what explaining other decisions does.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from models.schema.schema import PAYSIM
from tests.benchmarks.backlog import DISTINCT_ROWS, paysim

LIMITS: Final = 5
CONDITIONS: Final = (
    "type == 'TRANSFER' and amount > {large} and amount == oldbalanceOrg and newbalanceOrig == 0 "
    "and score > 0.{n}5",
    "type in ('CASH_OUT', 'TRANSFER') and nameDest in @mules and amount > {large} "
    "and score > 0.05 and hour(step) < 12",
    "hour(step) < 5 and amount > {huge} and type != 'PAYMENT' and oldbalanceOrg - amount < 100 "
    "and destination_empty == 1",
    "amount > {huge} and oldbalanceDest == 0 and newbalanceDest == 0 and type == 'TRANSFER' "
    "and newbalanceOrig == 0",
    "score > 0.{n}5 and amount > {large} and type == 'CASH_OUT' and hour(step) in (0, 1, 2, 3) "
    "and newbalanceDest > amount",
    "type == 'CASH_OUT' and takes_all == 1 and amount > {large} and oldbalanceDest < 1_000 "
    "and score > 0.1",
    "nameOrig in @stolen and type != 'CASH_IN' and amount > {small} and step > 24 "
    "and newbalanceOrig < amount",
    "nameDest in @mules and nameOrig not in @trusted and amount > {small} "
    "and type == 'TRANSFER' and oldbalanceDest < 10 * amount",
    "amount > {huge} and log_share > 1 and origin_empty == 0 and is_transfer == 1 "
    "and nameDest not in @trusted",
    "0.{n}2 < score < 0.{n}4 and amount > {large} and type in ('CASH_OUT', 'TRANSFER') "
    "and takes_all == 1",
    "newbalanceOrig == 0 and oldbalanceOrg > {huge} and amount >= oldbalanceOrg "
    "and type in ('CASH_OUT', 'TRANSFER') and not nameDest in @trusted",
    "type == 'PAYMENT' and amount > {large} and oldbalanceOrg < amount and hour(step) >= 22 "
    "and nameOrig in @stolen",
    "type == 'DEBIT' and amount > {large} and (oldbalanceOrg == 0 or newbalanceOrig == 0) "
    "and score > 0.01",
    "amount % 10_000 == 0 and amount > {large} and type == 'TRANSFER' and oldbalanceDest == 0 "
    "and hour(step) < 6",
    "abs(oldbalanceOrg - newbalanceOrig - amount) > 1 and type == 'TRANSFER' "
    "and oldbalanceOrg > {huge} and newbalanceOrig > 0 and score > 0.{n}",
    "(type == 'TRANSFER' and amount > {huge} or type == 'CASH_OUT' and amount > {largest}) "
    "and score > 0.{n}5",
    "log_amount > 1{n}.5 and exceeds_balance == 0 and type in ('CASH_OUT', 'TRANSFER') "
    "and newbalanceOrig < 1 and newbalanceDest - oldbalanceDest < amount / 2",
    "max(oldbalanceDest, newbalanceDest) < 100 and amount > {huge} and is_cash_out == 1 "
    "and oldbalanceOrg > 0 and score > 0.02",
    "hour(step) >= 23 and score > 0.{n}5 and log_origin_balance > 12 and log_share > 0.6 "
    "and type != 'CASH_IN'",
    "nameDest in @trusted and score < 0.{n}5 and amount < {small} and oldbalanceOrg > amount "
    "and type != 'CASH_OUT'",
)
"""The last one approves, by limits that are far apart; `n` is a digit from 1 on."""
_LISTING: Final = """
[lists.{name}]
field = "{field}"
then = "block"
reason = "{field} is known."
owner = "fraud"
"""
_SHARES: Final = {"mules": 0.5, "stolen": 0.3, "trusted": 0.2}
_KNOWN_EVERY: Final = 10_000
"""Of so many transactions, the receiver of one is in the list of mules."""


def policy_text() -> str:
    """Return the policy file."""
    rules = [
        _rule(place, condition, limit)
        for place, condition in enumerate(CONDITIONS)
        for limit in range(LIMITS)
    ]
    listings = [
        _LISTING.format(name="mules", field="nameDest"),
        _LISTING.format(name="stolen", field="nameOrig"),
    ]
    head = "flag_at = 0.5\nblock_at = 0.8\n\n[caps]\nblock_share = 0.2\n"
    return "".join([head, *rules, *listings])


def entries(count: int) -> Mapping[str, list[str]]:
    """Return so many entries in all, by the name of the list; nearly all are of nobody."""
    known = [
        PAYSIM.parser.parse(raw).nameDest
        for _, raw in islice(paysim(DISTINCT_ROWS), 1_000, None, _KNOWN_EVERY)
    ]
    found: dict[str, list[str]] = {}
    first = 0
    for name, share in _SHARES.items():
        own = dict.fromkeys(known) if name == "mules" else {}
        size = round(count * share) - len(own)
        # As long as those of PaySim, and of digits that no generated one begins with.
        found[name] = [*own, *(f"C9{number:09d}" for number in range(first, first + size))]
        first += size
    return found


def _rule(place: int, condition: str, limit: int) -> str:
    approves = condition is CONDITIONS[-1]
    when = condition.format(
        n=limit + 1,
        small=10_000 + 1_000 * limit,
        large=400_000 + 50_000 * limit,
        huge=1_500_000 + 250_000 * limit,
        largest=4_000_000 + 500_000 * limit,
    )
    then = "approve" if approves else ("flag", "block")[limit % 2]
    bounds = "up_to = 20_000\nexpires_at = 2099-01-01T00:00:00Z\n" if approves else ""
    return f"""
[[rules]]
id = "rule_{place}_{limit}"
when = "{when}"
then = "{then}"
mode = "{("active", "test")[limit == LIMITS - 1]}"
reason = "{{amount:,.2f}} to {{nameDest}}."
owner = "payments"
{bounds}"""
