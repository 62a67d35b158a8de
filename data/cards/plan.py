"""The parameters of a simulation of card payments: its size, and its shares of fraud."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

MOST: Final = 1_000_000
"""Most customers, and most terminals: a slip of the keyboard does not fill the memory."""
DAILY: Final = 2 * Fraction(969, 1000)
"""Expected transactions of a customer in a day: two, of which 3.1% fall outside the day."""
TERMINALS_PER_CUSTOMER: Final = 2
PUBLISHED_TERMINALS: Final = 10_000
PUBLISHED_RADIUS: Final = 5.0


@dataclass(frozen=True)
class Plan:
    """The size of the simulation, and its shares of fraud.

    Raises `ValueError` if a parameter is out of its bounds; the message names it.
    """

    seed: int = 20
    customers: int = 1_000
    terminals: int = 2_000
    days: int = 90
    radius: float = 11.2
    """How far from home a customer pays, in a plane of 100 by 100. About as many terminals lie
    within it as within 5 among 10,000 terminals, the published figures."""
    start: date = date(2025, 1, 1)
    """The first day, in UTC."""
    terminal_share: Fraction = Fraction(2, 10_000)
    """Share of the terminals that are compromised on each day."""
    customer_share: Fraction = Fraction(3, 5_000)
    """Share of the customers that are compromised on each day."""

    def __post_init__(self) -> None:
        for name in ("customers", "terminals"):
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(f"{name}={getattr(self, name)} is not in 0..{MOST}")
        for name in ("terminal_share", "customer_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is not a share from 0 to 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} is negative; use 0 or more")
        if not 0.0 <= self.radius < math.inf:
            raise ValueError(f"radius={self.radius} is not a distance; use 0 or more")
        room = (date.max - self.start) // timedelta(days=1)
        if not 0 <= self.days <= room:
            raise ValueError(f"days={self.days} is not in 0..{room}, what the calendar has left")

    @classmethod
    def for_rows(
        cls, rows: int, days: int = days, *, seed: int = seed, start: date = start
    ) -> Plan:
        """Return the plan that makes about this many rows in these days.

        It keeps the published proportions: two terminals a customer, and as many within reach.
        Raises `ValueError` if there is no such plan.
        """
        if rows < 0:
            raise ValueError(f"rows={rows} is negative; use 0 or more")
        customers = math.ceil(rows / (DAILY * days)) if days > 0 else 0
        terminals = TERMINALS_PER_CUSTOMER * customers
        if terminals > MOST:
            most = math.floor(MOST // TERMINALS_PER_CUSTOMER * DAILY * days)
            raise ValueError(f"rows={rows} is more than the {most} of {days} days; use more days")
        scale = math.sqrt(PUBLISHED_TERMINALS / max(1, terminals))
        return cls(seed, customers, terminals, days, PUBLISHED_RADIUS * scale, start)
