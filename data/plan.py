"""The parameters of a simulation: its size, and how hard its fraud is to detect."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Knobs:
    """Traits that make fraud harder to detect than PaySim's; each is a probability, 0 is off.

    PaySim's fraud takes the balance to the cent, and no honest client ever does. Comparing amount
    and balance thus finds 97.6% of PaySim's fraud with no false alarm. The defaults are
    assumptions: hard enough that the comparison is not sufficient, mild enough that most fraud
    still drains an account.
    """

    partial_drains: float = 0.12
    """The fraudster leaves 2% to 60% of the balance."""
    noisy_cash_outs: float = 0.15
    """The mule keeps a commission of 1% to 15% of what came in."""
    populated_mules: float = 0.15
    """The mule account has money of its own before."""
    linked_mules: float = 0.5
    """The account that cashes out is the one that received the transfer; in PaySim it never is."""
    legitimate_drains: float = 0.00015
    """An honest client sends or takes out the whole balance (TRANSFER and CASH_OUT)."""
    fraud_follows_volume: float = 0.5
    """Share of fraud that follows the hourly volume; the rest is constant, as all is in PaySim."""


PAYSIM = Knobs(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""All knobs off: the mechanics of PaySim."""


@dataclass(frozen=True)
class Plan:
    """The size of the simulation, and its shares of fraud."""

    seed: int = 20
    rows: int = 180_000
    """Expected number of transactions; the actual number differs by a few."""
    steps: int = 720
    """Hours, from step 1."""
    fraud_rate: float = 0.00129
    """Share of fraud rows; measured in PaySim."""
    flagged: float = 0.015
    """Share of fraudulent transfers that an upstream control stops and flags. PaySim has 16 in
    8,213, too few to be seen in a sample of this size."""
    zero_amount: float = 0.002
    """Share of fraud on an empty account; measured in PaySim: 16 in 8,213."""
    knobs: Knobs = field(default_factory=Knobs)
