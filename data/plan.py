"""What is to be simulated: how much, and how hard the fraud is to tell."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Knobs:
    """What makes the fraud harder to tell than PaySim's; each is a probability, 0 switches it off.

    PaySim's fraud takes the balance to the cent and no honest client ever does, so that one
    comparison finds 97.6% of it with no false alarm. The defaults are assumptions: hard enough that
    the comparison is not sufficient, mild enough that most fraud still drains an account.
    """

    partial_drains: float = 0.12
    """The fraudster leaves 2% to 60% of the balance."""
    noisy_cash_outs: float = 0.15
    """The mule keeps a commission of 1% to 15% of what came in."""
    populated_mules: float = 0.15
    """The mule account has money of its own before."""
    linked_mules: float = 0.5
    """The account that cashes out is the one that received; PaySim's never is."""
    legitimate_drains: float = 0.00015
    """An honest client sends or takes out the whole balance (TRANSFER and CASH_OUT)."""
    fraud_follows_volume: float = 0.5
    """The fraud keeps to the hours of the crowd; otherwise it is flat, as in PaySim."""


PAYSIM = Knobs(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""All knobs off: the published mechanics."""


@dataclass(frozen=True)
class Plan:
    """How much to simulate."""

    seed: int = 20
    rows: int = 180_000
    """Expected number of transactions; the real one differs by a few."""
    steps: int = 720
    """Hours, from step 1."""
    fraud_rate: float = 0.00129
    """Share of fraud rows; measured in PaySim."""
    flagged: float = 0.015
    """Share of fraudulent transfers that an upstream control stops and flags. PaySim has 16 in
    8,213, too few to be seen in a sample of this size."""
    zero_amount: float = 0.002
    """Share of fraud that finds nothing to take; measured: 16 in 8,213."""
    knobs: Knobs = field(default_factory=Knobs)
