"""The periods of rows by the days that somebody names, instead of shares of the rows."""

from __future__ import annotations

from models.errors import TrainingDataError
from models.profiles.windows import DAY, HOUR
from models.training.dataset import Labelled
from models.training.days import Days, Span
from models.training.period_ends import Ends
from models.training.periods import LEAST, Periods, cross_fit


def periods_of(data: Labelled, days: Days) -> Periods:
    """Return the periods of rows in order of time, with a calibration that is cross-fitted.

    Rows before, between and after the periods are in none of them. Raises `TrainingDataError` if
    a period lacks one of the classes.
    """
    train, test = days.train_span(data.step), days.test_span(data.step)
    learn, judged = train.has(data.step), test.has(data.step)
    for span, rows, least in ((train, learn, LEAST), (test, judged, 1)):
        frauds = int(data.fraud[rows].sum())
        others = int(rows.sum()) - frauds
        if min(frauds, others) < least:
            known = f"{Span.ending(data.step[:1], 1).first} to {Span.ending(data.step, 1).last}"
            raise TrainingDataError(
                f"from {span} there are {frauds} frauds in {frauds + others:,} transactions, and "
                f"{least} of both classes are needed at least; the data are of {known}"
            )
    ends = Ends.of(data.step[learn], data.fraud[learn])
    if ends.first() is None:
        raise TrainingDataError(
            f"the frauds from {train} are all in the same hour as all others, so that there is "
            "nothing to calibrate on; use a longer period"
        )
    return Periods(learn, cross_fit(data, learn, ends), judged, days.gap * (DAY // HOUR))
