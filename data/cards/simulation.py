"""The simulation, a day at a time, as columns: who pays where, when and how much.

Everything is drawn from one generator of random numbers, the people first and then day after day:
a plan of more days begins with the days of a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from data.cards.compromise import Compromises, Mask
from data.cards.people import Customers, Floats, Integers, Points, Reach
from data.cards.plan import Plan

SECONDS: Final = 86_400
NOON: Final = SECONDS / 2
DEVIATION: Final = 20_000.0
"""Of the time of day, in seconds."""
LARGE: Final = 22_000
"""Cents; every amount above it is fraud."""
TERMINAL_DAYS: Final = 28
CUSTOMER_DAYS: Final = 14
STOLEN: Final = 1.0 / 3.0
"""Share of a compromised customer's transactions that are the fraudster's."""
STOLEN_TIMES: Final = 5
"""How many times the amount a fraudster takes."""


class Cause(IntEnum):
    """Why a transaction is fraud; the last that holds, if there are several."""

    NONE = 0
    AMOUNT = 1
    TERMINAL = 2
    CUSTOMER = 3


@dataclass(frozen=True)
class Day:
    """The transactions of one day in order of time, and who is compromised on it."""

    second: Integers
    """Of the day, in UTC."""
    customer: Integers
    terminal: Integers
    cents: Integers
    cause: Integers
    """Values of `Cause`."""
    compromised_customers: Mask
    compromised_terminals: Mask


class Simulation:
    """The people and terminals of a plan; `days` can be taken once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = rng = np.random.Generator(np.random.PCG64(plan.seed))
        self.customers: Final = Customers.draw(rng, plan.customers)
        self.terminals: Final = Points.draw(rng, plan.terminals)
        self._reach = Reach.of(self.customers.homes, self.terminals, plan.radius)
        self._stolen = Compromises(rng, plan.customers, plan.customer_share, CUSTOMER_DAYS)
        self._tampered = Compromises(rng, plan.terminals, plan.terminal_share, TERMINAL_DAYS)

    def days(self) -> Iterator[Day]:
        """Yield each day of the plan, from the first."""
        for _ in range(self._plan.days):
            yield self._day(self._stolen.next_day(), self._tampered.next_day())

    def _day(self, stolen: Mask, tampered: Mask) -> Day:
        rng = self._rng
        second, customer = self._payments()
        terminal = self._reach.pick(rng, customer)
        cents = self._amounts(customer)
        cause = np.where(cents > LARGE, Cause.AMOUNT, Cause.NONE)
        cause[tampered[terminal]] = Cause.TERMINAL
        taken = stolen[customer] & (rng.random(len(customer)) < STOLEN)
        cause[taken] = Cause.CUSTOMER
        cents[taken] *= STOLEN_TIMES
        return Day(second, customer, terminal, cents, cause, stolen, tampered)

    def _payments(self) -> tuple[Integers, Integers]:
        """Draw the second and the customer of each transaction of a day, in order of time."""
        counts = self._rng.poisson(self.customers.daily)
        customer = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        moment = self._rng.normal(NOON, DEVIATION, len(customer))
        kept = (moment > 0.0) & (moment < SECONDS) & (self._reach.count[customer] > 0)
        second = moment[kept].astype(np.int64)
        order = np.argsort(second, kind="stable")
        return second[order], customer[kept][order]

    def _amounts(self, customer: Integers) -> Integers:
        """Draw what these customers pay, in cents; nobody pays less than one."""
        mean: Floats = self.customers.mean_amount[customer]
        amount = self._rng.normal(mean, mean / 2.0)
        negative = amount < 0.0
        amount[negative] = self._rng.uniform(0.0, 2.0 * mean[negative])
        return np.maximum(np.rint(amount * 100.0).astype(np.int64), 1)
