"""The parameters of a simulation of credit transfers: its size, and its share of fraud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

MOST: Final = 10_000_000
"""Most rows: a slip of the keyboard does not fill the memory."""


@dataclass(frozen=True)
class Plan:
    """The size of the simulation, and its share of fraud.

    Raises `ValueError` if a parameter is out of its bounds; the message names it.
    """

    seed: int = 20
    rows: int = 30_000
    days: int = 60
    start: date = date(2025, 1, 1)
    """The first day, in UTC."""
    fraud_rate: float = 0.01
    """Share of the rows that are fraud."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} is negative; use 0 or more")
        if not 0 <= self.rows <= MOST:
            raise ValueError(f"rows={self.rows} is not in 0..{MOST}")
        room = (date.max - self.start) // timedelta(days=1)
        if not 1 <= self.days <= room:
            raise ValueError(f"days={self.days} is not in 1..{room}, what the calendar has left")
        if not 0.0 <= self.fraud_rate <= 1.0:
            raise ValueError(f"fraud_rate={self.fraud_rate} is not a share from 0 to 1")

    @property
    def frauds(self) -> int:
        """How many rows are fraud."""
        return round(self.rows * self.fraud_rate)

    @property
    def persons(self) -> int:
        """Customers that are persons; each pays about ten times in sixty days."""
        return 10 + self.rows // 15

    @property
    def companies(self) -> int:
        """Customers that are companies; each pays about as often as six persons."""
        return 5 + self.rows // 200

    @property
    def mules(self) -> int:
        """Accounts that frauds are paid to; each takes about six."""
        return 3 + self.frauds // 6
