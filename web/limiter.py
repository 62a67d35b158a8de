"""Rate limits by caller.

The in-memory storage of the library `limits` scans all callers at each request and keeps any number
of them. A flood from many addresses would cost it more than the requests it refuses. Here the cost
of a request does not grow with the number of callers, and that number is bounded.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from fraudapp.config.rates import Rate

MAX_CALLERS: Final = 50_000


class Limiter:
    """Applies all rates to each caller; a refused request is not counted."""

    def __init__(self, rates: Sequence[Rate], max_callers: int = MAX_CALLERS) -> None:
        self._windows = [_Windows(rate, max_callers) for rate in rates]

    def wait(self, caller: str, now: float) -> float:
        """Seconds until the caller may send a request; 0 if it may now."""
        return max((each.wait(caller, now) for each in self._windows), default=0.0)

    def hit(self, caller: str, now: float) -> float:
        """Count a request if the caller may send one now; returns what `wait` returned before."""
        wait = self.wait(caller, now)
        if not wait:
            for each in self._windows:
                each.count(caller, now)
        return wait

    def __len__(self) -> int:
        return max((len(each.begun) for each in self._windows), default=0)


class _Windows:
    """The fixed window of each recent caller: when it began, and the requests in it.

    Windows are in the order in which they began. Beyond `max_callers` the oldest is forgotten.
    """

    def __init__(self, rate: Rate, max_callers: int) -> None:
        self._rate = rate
        self._max_callers = max_callers
        self.begun: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, caller: str, now: float) -> float:
        self._forget(now)
        began, count = self.begun.get(caller, (now, 0))
        return began + self._rate.seconds - now if count >= self._rate.amount else 0.0

    def count(self, caller: str, now: float) -> None:
        began, count = self.begun.get(caller, (now, 0))
        self.begun[caller] = began, count + 1
        if len(self.begun) > self._max_callers:
            self.begun.popitem(last=False)

    def _forget(self, now: float) -> None:
        while self.begun:
            caller, (began, _) = next(iter(self.begun.items()))
            if began + self._rate.seconds > now:
                return
            del self.begun[caller]


def whole_seconds(wait: float) -> int:
    """Round up for `Retry-After`: after so many whole seconds the caller may ask again."""
    return max(1, math.ceil(wait))
