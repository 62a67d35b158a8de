"""Requests about policies, and what tests propose."""

from __future__ import annotations

from typing import Any

from models.control.records import Proposed, proposal
from tests.support.views import Client, ViewBench

NAMES = ("reader", "writer", "ann", "bob")
SCOPES = ("read", "write", "read+author+approve", "read+approve")
SECRETS = {name: f"the-secret-of-{name}-1" for name in NAMES}
KEYS = ",".join(
    f"{name}:{scopes}:{SECRETS[name]}" for name, scopes in zip(NAMES, SCOPES, strict=True)
)
TEXT = """flag_at = 0.25
block_at = 0.9

[[rules]]
id = "large"
when = "amount > 1_000_000"
then = "block"
reason = "{amount:,.2f} is a lot."
owner = "payments"
"""
WRONG = TEXT.replace("amount > 1_000_000", "amoun > 1 and nameDest in @mules")
OTHER = "flag_at = 0.1\n"


async def ask(
    client: Client, method: str, path: str, body: Any = None, *, key: str = "", **headers: str
) -> tuple[int, Any]:
    """Status and JSON of the answer."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        sent["X-API-Key"] = SECRETS[key]
    given = {"data": body} if isinstance(body, (str, bytes)) else {"json": body}
    async with client.request(
        method, path, headers=sent, **(given if body is not None else {})
    ) as answer:
        return answer.status, await answer.json(content_type=None)


def in_force(bench: ViewBench, text: str, number: int = 1, author: str = "ann") -> str:
    """Put a policy in force as if somebody else had; returns its id."""
    control = bench.parts.control
    id_ = f"{number:032x}"
    parent = control.known.chain.head
    control.take([proposal(id_, Proposed(parent=parent, text=text, author=author, note="why"))])
    return id_
