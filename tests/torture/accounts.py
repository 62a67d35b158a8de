"""Transactions between accounts that come again, some of them all the time."""

from __future__ import annotations

import random
from typing import Any, Final

from tests.support.messages import transaction

HOT_SHARE: Final = 0.15
HOT_ACCOUNTS: Final = 30
"""Accounts that so many transactions are of."""
KNOWN_SHARE: Final = 0.65
KNOWN_ACCOUNTS: Final = 3_000
"""Accounts that most others are of; the rest are of accounts that come once."""


def payment(id_: str, seed: int = 0) -> dict[str, Any]:
    """A valid transaction; the same for the same id and seed."""
    random_ = random.Random(f"accounts of {id_}-{seed}")
    return transaction(id_, seed=seed, nameOrig=_account(random_), nameDest=_account(random_))


def _account(random_: random.Random) -> str:
    kind = random_.random()
    if kind < HOT_SHARE:
        return f"C{random_.randrange(HOT_ACCOUNTS)}"
    if kind < HOT_SHARE + KNOWN_SHARE:
        return f"C{random_.randrange(10_000, 10_000 + KNOWN_ACCOUNTS)}"
    return f"C{random_.randrange(10**8, 10**9)}"
