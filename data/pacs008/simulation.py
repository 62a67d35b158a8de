"""The simulation, as columns: who pays whom, when, how much and what for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data.pacs008.banks import BANKS
from data.pacs008.plan import Plan

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HOUR: Final = 3_600
DAY: Final = 24 * HOUR
PAYEES: Final = 6
"""Accounts that each customer pays again and again."""
NEW_PAYEE: Final = 0.15
"""Share of honest payments that go to another account."""


class Cause(IntEnum):
    """Why a payment is fraud."""

    NONE = 0
    PUSH = 1
    """Somebody is talked into paying (authorised push payment fraud)."""
    TAKEOVER = 2
    """A fraudster pays from somebody's account, mostly at night."""
    INVOICE = 3
    """A company pays an invoice on which the account was changed."""


class Habit(NamedTuple):
    """How a kind of payment is made."""

    median: float
    """Amount, in units of currency."""
    spread: float
    """Standard deviation of the amount's logarithm."""
    hour: float
    """Mean time of day, UTC."""
    hours: float
    """Standard deviation of the time of day."""
    weekend: float
    """How many are made on a day of a weekend for each on another day."""
    silent: float
    """Share without remittance information."""
    purposes: Mapping[str, float]
    """Share of each purpose (ISO 20022 external code), relative to the others; "" is none."""


PERSONS: Final = Habit(
    *(110.0, 1.1, 16.5, 4.5, 0.7, 0.22),
    {"": 40, "RENT": 8, "ELEC": 8, "INSU": 7, "GDDS": 12, "SAVG": 7, "GIFT": 5, "OTHR": 8}
    | {"INVS": 3, "LOAN": 2},
)
COMPANIES: Final = Habit(
    *(2_200.0, 1.2, 11.5, 2.8, 0.1, 0.06),
    {"": 16, "SUPP": 38, "SALA": 16, "GDDS": 12, "TAXS": 6, "SCVE": 7, "TRAD": 4, "OTHR": 1},
)
FRAUDS: Final = {
    Cause.PUSH: Habit(
        *(2_200.0, 0.9, 18.5, 4.0, 1.0, 0.55),
        {"": 35, "INVS": 28, "OTHR": 15, "GIFT": 10, "SAVG": 7, "GDDS": 5},
    ),
    Cause.TAKEOVER: Habit(*(4_500.0, 0.8, 26.5, 2.5, 1.2, 0.70), {"": 75, "OTHR": 18, "GDDS": 7}),
    Cause.INVOICE: Habit(
        *(14_000.0, 0.7, 11.5, 2.8, 0.1, 0.08), {"SUPP": 55, "GDDS": 15, "SCVE": 10, "": 20}
    ),
}
"""By cause; hours above 24 are of the night that follows."""
CAUSES: Final = {Cause.PUSH: 0.5, Cause.TAKEOVER: 0.35, Cause.INVOICE: 0.15}
"""Share of each cause among the frauds."""
BEARERS: Final = {"SHAR": 0.75, "DEBT": 0.2, "CRED": 0.05}
"""Share of each rule for charges outside SEPA; within, it is always SLEV."""


@dataclass(frozen=True)
class Payments:
    """Payments, one an entry of each column."""

    second: Integers
    """Since the first midnight, UTC."""
    debtor: Integers
    """Number of an account, as in `Simulation.bank`."""
    creditor: Integers
    cents: Integers
    purpose: NDArray[np.str_]
    """Empty if none is given."""
    silent: Flags
    """Whether the creditor is not told what it is for."""
    cause: Integers
    """Values of `Cause`."""


class Simulation:
    """The accounts of a plan, and what is paid from one to another.

    Accounts are numbered: those of persons, then of companies, then of mules.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = rng = np.random.Generator(np.random.PCG64(plan.seed))
        self.customers: Final = plan.persons + plan.companies
        self.bank: Final = np.concatenate(
            [
                self._banks([each.customers for each in BANKS], self.customers),
                self._banks([each.mules for each in BANKS], plan.mules),
            ]
        )
        """Of each account, by its place in `BANKS`."""
        self.number: Final = rng.permutation(len(self.bank)) + 1
        """Of each account, as its bank gives it."""
        self._payees = rng.integers(self.customers, size=(self.customers, PAYEES))
        self._means = rng.lognormal(0.0, 0.8, size=(self.customers, PAYEES))

    def payments(self) -> Payments:
        """Return all payments in order of time; can be called once."""
        honest = self._plan.rows - self._plan.frauds
        by_companies = self._rng.binomial(honest, 0.3)
        parts = [
            self._honest(honest - by_companies, PERSONS, 0, self._plan.persons),
            self._honest(by_companies, COMPANIES, self._plan.persons, self.customers),
        ]
        counts = self._rng.multinomial(self._plan.frauds, list(CAUSES.values()))
        for cause, count in zip(CAUSES, counts.tolist(), strict=True):
            parts.append(self._fraud(count, cause))
        whole = {
            field.name: np.concatenate([getattr(each, field.name) for each in parts])
            for field in fields(Payments)
        }
        order = np.argsort(whole["second"], kind="stable")
        return Payments(**{name: column[order] for name, column in whole.items()})

    def bearers(self, payments: Payments) -> NDArray[np.str_]:
        """Draw who bears the charges of each payment."""
        in_sepa = np.array([each.has_ibans and each.currency == "EUR" for each in BANKS])
        within = in_sepa[self.bank[payments.debtor]] & in_sepa[self.bank[payments.creditor]]
        drawn = self._rng.choice(list(BEARERS), len(within), p=list(BEARERS.values()))
        bearers: NDArray[np.str_] = np.where(within, "SLEV", drawn)
        return bearers

    def _honest(self, count: int, habit: Habit, first: int, end: int) -> Payments:
        debtor = self._rng.integers(first, end, count)
        payee = self._rng.integers(PAYEES, size=count)
        usual, mean = self._payees[debtor, payee], self._means[debtor, payee]
        anybody = self._rng.integers(self.customers, size=count)
        creditor = np.where(self._rng.random(count) < NEW_PAYEE, anybody, usual)
        return self._made(habit, Cause.NONE, debtor, creditor, mean)

    def _fraud(self, count: int, cause: Cause) -> Payments:
        first = self._plan.persons if cause == Cause.INVOICE else 0
        end = self._plan.persons if cause == Cause.PUSH else self.customers
        debtor = self._rng.integers(first, end, count)
        creditor = self._rng.integers(self.customers, len(self.bank), count)
        return self._made(FRAUDS[cause], cause, debtor, creditor, np.ones(count))

    def _made(
        self, habit: Habit, cause: Cause, debtor: Integers, creditor: Integers, mean: Floats
    ) -> Payments:
        rng, count = self._rng, len(debtor)
        amount = habit.median * mean * rng.lognormal(0.0, habit.spread, count)
        shares = np.array(list(habit.purposes.values()), np.float64)
        return Payments(
            second=self._seconds(habit, count),
            debtor=debtor,
            creditor=np.where(creditor == debtor, (creditor + 1) % len(self.bank), creditor),
            cents=np.maximum(np.rint(amount * 100.0).astype(np.int64), 1),
            purpose=rng.choice(list(habit.purposes), count, p=shares / shares.sum()),
            silent=rng.random(count) < habit.silent,
            cause=np.full(count, cause, np.int64),
        )

    def _seconds(self, habit: Habit, count: int) -> Integers:
        first = self._plan.start.weekday()
        weight = np.array(
            [habit.weekend if (first + day) % 7 >= 5 else 1.0 for day in range(self._plan.days)]
        )
        day = self._rng.choice(self._plan.days, count, p=weight / weight.sum())
        moment = self._rng.normal(habit.hour * HOUR, habit.hours * HOUR, count)
        return day * DAY + moment.astype(np.int64) % DAY

    def _banks(self, shares: list[float], count: int) -> Integers:
        weight = np.array(shares)
        return self._rng.choice(len(BANKS), count, p=weight / weight.sum())
