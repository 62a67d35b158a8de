"""When labels get into profiles."""

from __future__ import annotations


def due(written: float, delay: float) -> float:
    """Return the second from which on decisions see a label that was written at a second.

    It is a whole multiple of `delay` seconds, one to two of them later. By then every worker has
    read the label, as a rule, so that they all begin to see it with the same decision, and whoever
    reads the log can tell which that is.
    """
    return (written // delay + 2) * delay
