"""The first signal interrupts a process, which may then clean up in peace."""

from __future__ import annotations

import signal

import pytest

from fraudapp.local.interrupts import SIGNALS, one_interrupt


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_interrupts_and_those_during_the_clean_up_do_not(
    number: signal.Signals,
) -> None:
    cleaned_up = []

    def body() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for other in SIGNALS:
                signal.raise_signal(other)
                cleaned_up.append(other)

    with pytest.raises(KeyboardInterrupt), one_interrupt():
        body()
    assert cleaned_up == list(SIGNALS)


def test_handlers_are_as_before_when_it_is_over() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with one_interrupt():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before
