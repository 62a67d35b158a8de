"""An agent-based generator of PaySim-shaped mobile-money transactions.

Clients with balances act hour by hour: they pay merchants, take cash in and out, and send money to
accounts that keep what they receive. Fraudsters take over a victim's account, move its balance to
a mule and cash it out. The knobs in `data.plan` add traits of real fraud that PaySim lacks.

    python -m data.generator --seed 20 --out data/transactions.csv
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data import shapes
from data.plan import PAYSIM, Plan


class Row(NamedTuple):
    """One transaction, with PaySim's columns in PaySim's order."""

    step: int
    type: str
    amount: float
    nameOrig: str
    oldbalanceOrg: float
    newbalanceOrig: float
    nameDest: str
    oldbalanceDest: float
    newbalanceDest: float
    isFraud: int = 0
    isFlaggedFraud: int = 0


def generate(plan: Plan) -> Iterator[Row]:
    """Yield the transactions in order of time; the same plan gives the same rows."""
    return _World(plan).rows()


class _World:
    """The state of the simulation: the balances of accounts, and the random number generator."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = np.random.default_rng(plan.seed)
        count = max(10, round(plan.rows * 0.66 / shapes.ROWS_PER_DESTINATION))
        self._destinations = self._ids("C", count)
        self._balances = np.round(shapes.destination_balances(self._rng, count), 2).tolist()

    def rows(self) -> Iterator[Row]:
        plan, rng = self._plan, self._rng
        hours = np.arange(1, plan.steps + 1) % 24
        volume = shapes.HOURLY_VOLUME[hours] * rng.lognormal(0.0, 0.1, plan.steps)
        volume /= volume.sum()
        follow = plan.knobs.fraud_follows_volume
        fraud_volume = follow * volume + (1.0 - follow) / plan.steps
        frauds = round(plan.rows * plan.fraud_rate)
        episodes = rng.multinomial(round(frauds / (2.0 - plan.flagged)), fraud_volume)
        honest = rng.multinomial(max(0, plan.rows - frauds), volume)
        for step, (crimes, count) in enumerate(zip(episodes, honest, strict=True), start=1):
            moments = set(rng.integers(0, count + 1, crimes).tolist()) if crimes else set()
            pending = int(crimes)
            for position, row in enumerate(self._honest(step, int(count))):
                if position in moments:
                    yield from self._fraud(step)
                    pending -= 1
                yield row
            for _ in range(pending):
                yield from self._fraud(step)

    def _honest(self, step: int, count: int) -> Iterator[Row]:
        """Yield the legitimate transactions of one hour, in random order of types."""
        rng = self._rng
        kinds = list(shapes.TYPE_SHAPES)
        share = np.array([shapes.TYPE_SHAPES[kind].share for kind in kinds])
        drawn = rng.choice(len(kinds), size=count, p=share / share.sum())
        amount, balance = np.empty(count), np.empty(count)
        for code, kind in enumerate(kinds):
            chosen = drawn == code
            amount[chosen] = shapes.amounts(kind, rng, int(chosen.sum()))
            balance[chosen] = shapes.origin_balances(kind, rng, int(chosen.sum()))
            if kind in ("TRANSFER", "CASH_OUT"):
                self._drain_some(amount, balance, chosen)
            if kind == "TRANSFER":
                self._cover_some(amount, balance, chosen)
        amount = np.maximum(np.round(amount, 2), 0.01)
        columns = (amount.tolist(), np.round(balance, 2).tolist(), self._ids("C", count))
        for code, money, old, origin in zip(drawn.tolist(), *columns, strict=True):
            yield self._move(step, kinds[code], money, origin, old)

    def _drain_some(
        self, amount: shapes.Floats, balance: shapes.Floats, chosen: np.ndarray
    ) -> None:
        """Make some honest clients empty their account.

        Their balances are those of victims, or else the amount alone would tell them from fraud.
        """
        drains = chosen & (self._rng.random(len(amount)) < self._plan.knobs.legitimate_drains)
        balance[drains] = shapes.victim_balances(self._rng, int(drains.sum()))
        amount[drains] = balance[drains]

    def _cover_some(
        self, amount: shapes.Floats, balance: shapes.Floats, chosen: np.ndarray
    ) -> None:
        """Give the senders of some large transfers a balance that covers the amount."""
        large = chosen & (amount > shapes.LARGE_TRANSFER_FROM)
        large &= self._rng.random(len(amount)) < shapes.LARGE_TRANSFER_COVERED
        balance[large] = amount[large] * (1.0 + self._rng.exponential(1.0, int(large.sum())))

    def _move(self, step: int, kind: str, amount: float, origin: str, old: float) -> Row:
        """Return a legitimate transaction, and update the destination's balance."""
        if kind == "PAYMENT":  # merchants' balances are not shown
            merchant = self._ids("M", 1)[0]
            return Row(step, kind, amount, origin, old, _less(old, amount), merchant, 0.0, 0.0)
        new = round(old + amount, 2) if kind == "CASH_IN" else _less(old, amount)
        index = self._pick_destination()
        before, after = self._credit(index, -amount if kind == "CASH_IN" else amount)
        return Row(step, kind, amount, origin, old, new, self._destinations[index], before, after)

    def _pick_destination(self) -> int:
        # The square favours some accounts: popularity falls with the root of the rank.
        return int(len(self._destinations) * self._rng.random() ** 2)

    def _credit(self, index: int, amount: float) -> tuple[float, float]:
        """Change a balance; returns it before and after, with other transactions in between."""
        before = self._balances[index]
        after = before + amount
        if self._rng.random() < shapes.DESTINATION_BUSY:
            after += shapes.TYPE_SHAPES["CASH_OUT"].amount.draw(self._rng, 1)[0]
        self._balances[index] = after = max(0.0, round(float(after), 2))
        return before, after

    def _fraud(self, step: int) -> Iterator[Row]:
        """Yield a transfer from a victim to a mule and its cash-out within the hour."""
        rng, knobs = self._rng, self._plan.knobs
        victim, mule = self._ids("C", 2)
        balance, taken = self._loot()
        savings = 0.0
        if rng.random() < knobs.populated_mules:
            savings = round(float(shapes.ORDINARY_BALANCE.draw(rng, 1)[0]), 2)
        flagged = rng.random() < self._plan.flagged
        left = balance if flagged else _less(balance, taken)
        # Measured in PaySim: an empty mule's balance is still 0 afterwards, as if the money were
        # gone at once.
        shown = savings if flagged or not savings else round(savings + taken, 2)
        yield Row(
            *(step, "TRANSFER", taken, victim, balance, left, mule, savings, shown, 1, int(flagged))
        )
        if not flagged:
            yield self._cash_out(step, taken, mule, savings)

    def _loot(self) -> tuple[float, float]:
        """Draw a victim's balance and the amount that is taken."""
        rng, knobs = self._rng, self._plan.knobs
        balance = round(float(shapes.victim_balances(rng, 1)[0]), 2)
        if rng.random() < self._plan.zero_amount:
            balance = 0.0
        share = 1.0
        if rng.random() < knobs.partial_drains:
            share = 1.0 - rng.uniform(0.02, 0.6)
        return balance, min(round(balance * share, 2), shapes.TRANSFER_LIMIT)

    def _cash_out(self, step: int, taken: float, mule: str, savings: float) -> Row:
        """Return the cash-out, by the mule or by another account that the money went to unseen."""
        rng, knobs = self._rng, self._plan.knobs
        held, casher = taken, self._ids("C", 1)[0]
        if rng.random() < knobs.linked_mules:
            held, casher = round(savings + taken, 2), mule
        share = 1.0
        if rng.random() < knobs.noisy_cash_outs:
            share = 1.0 - rng.uniform(0.01, 0.15)
        amount = round(taken * share, 2)
        index = self._pick_destination()
        if rng.random() < shapes.EXCHANGE_EMPTY:  # a new account replaces the destination
            self._destinations[index], self._balances[index] = self._ids("C", 1)[0], 0.0
        before, after = self._credit(index, amount)
        rest, exchange = _less(held, amount), self._destinations[index]
        return Row(step, "CASH_OUT", amount, casher, held, rest, exchange, before, after, 1)

    def _ids(self, prefix: str, count: int) -> list[str]:
        """Draw ids in PaySim's format: a letter and up to ten digits, nearly unique."""
        numbers = self._rng.integers(10_000, 2_200_000_000, count)
        return [f"{prefix}{number}" for number in numbers.tolist()]


def _less(balance: float, amount: float) -> float:
    return max(0.0, round(balance - amount, 2))


def write_csv(plan: Plan, path: Path) -> int:
    """Write the plan's transactions with a header line; returns the number of rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        rows = generate(plan)
        return sum(1 for _ in map(writer.writerow, rows))


def main() -> None:
    """Run the command line; see the module's docstring."""
    plan = Plan()
    parser = argparse.ArgumentParser(description="Generate PaySim-shaped transactions as CSV.")
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--rows", type=int, default=plan.rows)
    parser.add_argument("--steps", type=int, default=plan.steps, help="hours of simulation")
    parser.add_argument(
        "--fraud-rate", type=float, default=plan.fraud_rate, help="share of fraud, 0 to 1"
    )
    parser.add_argument("--paysim", action="store_true", help="switch all knobs off")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if not 0.0 <= given.fraud_rate <= 1.0:
        parser.error(f"--fraud-rate {given.fraud_rate} is no share; give a number from 0 to 1")
    knobs = PAYSIM if given.paysim else plan.knobs
    count = write_csv(
        Plan(given.seed, given.rows, given.steps, given.fraud_rate, knobs=knobs), given.out
    )
    parser.exit(message=f"{count} rows written to {given.out}\n")


if __name__ == "__main__":
    main()
