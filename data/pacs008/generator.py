"""Credit transfers as ISO 20022 messages in JSON, and the file that they are written to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np

from data.pacs008.banks import BANKS
from data.pacs008.plan import Plan
from data.pacs008.simulation import Cause, Simulation

REMITTANCE: Final = {
    "": "Payment",
    "ELEC": "Electricity, contract",
    "GDDS": "Order",
    "GIFT": "A present",
    "INSU": "Insurance, policy",
    "INVS": "Investment",
    "LOAN": "Loan, instalment",
    "OTHR": "As agreed",
    "RENT": "Rent, flat",
    "SALA": "Salary",
    "SAVG": "Savings",
    "SCVE": "Services, order",
    "SUPP": "Invoice",
    "TAXS": "Tax, case",
    "TRAD": "Contract",
}
"""What the creditor is told, by purpose; a number follows."""


class Message(NamedTuple):
    """One credit transfer."""

    content: dict[str, Any]
    """The message, with the label `is_fraud`, 0 or 1, beside `FIToFICstmrCdtTrf`."""
    cause: Cause
    """What made it fraud; written to no file."""


def generate(plan: Plan) -> Iterator[Message]:
    """Yield the messages in order of time; the same plan gives the same messages."""
    world = Simulation(plan)
    payments = world.payments()
    bearers = world.bearers(payments).tolist()
    parties = _parties(plan, world)
    midnight = datetime.combine(plan.start, time(), timezone.utc)
    ids = np.random.Generator(np.random.PCG64(plan.seed)).bytes(16 * plan.rows)
    columns = (getattr(payments, name).tolist() for name in payments.__dataclass_fields__)
    for number, row in enumerate(zip(*columns, strict=True)):
        second, debtor, creditor, cents, purpose, silent, cause = row
        transfer = {
            "PmtId": {
                "InstrId": f"I-{plan.seed}-{number + 1}",
                "EndToEndId": f"E-{plan.seed}-{number + 1}",
                "UETR": str(UUID(bytes=ids[16 * number : 16 * number + 16], version=4)),
            },
            "IntrBkSttlmAmt": {
                "@Ccy": BANKS[world.bank[creditor]].currency,
                "#text": f"{cents // 100}.{cents % 100:02d}",
            },
            "IntrBkSttlmDt": (plan.start + timedelta(seconds=second)).isoformat(),
            "ChrgBr": bearers[number],
            **parties[debtor].as_debtor,
            **parties[creditor].as_creditor,
        }
        if purpose:
            transfer["Purp"] = {"Cd": purpose}
        if not silent:
            transfer["RmtInf"] = {"Ustrd": [f"{REMITTANCE[purpose]} {number + 1}"]}
        at = midnight + timedelta(seconds=second)
        yield Message(_message(f"M-{plan.seed}-{number + 1}", at, transfer, cause), Cause(cause))


def write_json_lines(plan: Plan, path: Path) -> int:
    """Write the plan's messages, one a line; returns their number.

    Raises `OSError` if the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = (json.dumps(each.content) + "\n" for each in generate(plan))
        return sum(1 for _ in map(file.write, lines))


class _Party(NamedTuple):
    as_debtor: dict[str, Any]
    as_creditor: dict[str, Any]


def _parties(plan: Plan, world: Simulation) -> list[_Party]:
    """Return what messages say of the holder of each account."""
    found = []
    for index, (bank, number) in enumerate(
        zip(world.bank.tolist(), world.number.tolist(), strict=True)
    ):
        is_company = plan.persons <= index < world.customers
        name = {"Nm": f"{'Company' if is_company else 'Person'} {number}"}
        account = {"Id": BANKS[bank].account(number)}
        agent = {"FinInstnId": {"BICFI": BANKS[bank].bic}}
        found.append(
            _Party(
                {"Dbtr": name, "DbtrAcct": account, "DbtrAgt": agent},
                {"CdtrAgt": agent, "Cdtr": name, "CdtrAcct": account},
            )
        )
    return found


def _message(name: str, at: datetime, transfer: dict[str, Any], cause: int) -> dict[str, Any]:
    header = {
        "MsgId": name,
        "CreDtTm": at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z",
        "NbOfTxs": "1",
        "SttlmInf": {"SttlmMtd": "CLRG"},
    }
    return {
        "FIToFICstmrCdtTrf": {"GrpHdr": header, "CdtTrfTxInf": [transfer]},
        "is_fraud": int(cause != Cause.NONE),
    }
