"""Rules decisions anew by another policy, and compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import compress
from operator import attrgetter
from typing import Final, NamedTuple

from fraudapp.backtests.alike import Alike, ends_of
from fraudapp.backtests.candidate import Candidate
from fraudapp.backtests.circumstances import Circumstances, Versions
from fraudapp.backtests.period import Period
from fraudapp.backtests.seen import Seen
from fraudapp.backtests.stored_features import StoredFeatures
from models.control.timeline import Timeline
from models.control.versions import Version
from models.policies.backtest import Backtest
from models.policies.comparison import Comparison
from models.policies.ruling import Lists
from models.records import Decision
from models.schema.schema import Schema

_decided_at: Final[Callable[[Decision], datetime]] = attrgetter("decided_at")
_policy_version: Final[Callable[[Decision], str]] = attrgetter("policy_version")


class Chosen(NamedTuple):
    """Which decisions count."""

    period: Period = Period()
    made_by: str | None = None
    """The number of a policy, or the name of thresholds; None for all."""
    limit: int | None = None


class Replay:
    """Takes decisions in batches of any size, of which larger ones cost less for each.

    Rules, lists and features are those of the moment and the versions of each decision. Decisions
    between which nothing of that changes are ruled together, by the first one's moment.
    """

    def __init__(
        self,
        candidate: Candidate,
        schema: Schema,
        features: StoredFeatures,
        timeline: Timeline | None = None,
        lists: Lists | None = None,
        chosen: Chosen | None = None,
    ) -> None:
        """`lists` replace those of the timeline, whose others are forgotten."""
        self.candidate, self.features, self.chosen = candidate, features, chosen or Chosen()
        self.versions = Versions(candidate, timeline, schema)
        self.found = Backtest(policy=candidate.name)
        self._ruling, self._schema, self._timeline = candidate.ruling, schema, timeline
        self._given = lists or {}
        if timeline:
            timeline.keep(set(self._ruling.lists) - self._given.keys())
        ends = {*ends_of(self._ruling.policy), *(timeline.expiries() if timeline else ())}
        self._alike = Alike(self.versions, ends, by_model=features.depend_on_model)
        self._comparison = Comparison(self._ruling)
        self._seen = Seen()
        self._made_by: Counter[str] = Counter()
        self._label = schema.of_role("label")

    @property
    def rows(self) -> int:
        """How many decisions were compared."""
        return self._comparison.found.rows

    @property
    def is_full(self) -> bool:
        """Whether there are as many as were to be compared."""
        return self.chosen.limit is not None and self.rows >= self.chosen.limit

    def add(self, decisions: Sequence[Decision]) -> None:
        """Compare those that count; of several under an id, the first one does.

        Raises `ModelFileError` if a rule needs what no model here has learned.
        """
        rows = self._counting(decisions)
        if not rows:
            return
        self._made_by.update(Counter(map(_policy_version, rows)))
        first, last = min(map(_decided_at, rows)), max(map(_decided_at, rows))
        self.found.first = min(self.found.first or first, first)
        self.found.last = max(self.found.last or last, last)
        for circumstances, together in self._alike.groups(rows, first, last):
            self._rule(together, circumstances)

    def result(self) -> Backtest:
        """Return what was found so far, without notes."""
        found = self._comparison.result()
        made_by: Counter[str] = Counter()
        for text, count in self._made_by.items():
            made_by[_maker(text)] += count
        found.policy, found.first, found.last = self.found.policy, self.found.first, self.found.last
        found.of_other_schemas, found.repeated = self.found.of_other_schemas, self.found.repeated
        found.made_by = dict(made_by.most_common())
        return found

    def _counting(self, decisions: Sequence[Decision]) -> list[Decision]:
        is_new = self._seen.add([each.transaction_id for each in decisions])
        since, until = self.chosen.period
        rows = [*compress(decisions, is_new)]
        if len(rows) < len(decisions):
            again = compress(decisions, ~is_new)
            self.found.repeated += sum(since <= each.decided_at < until for each in again)
        if self.chosen.period != Period():
            rows = [each for each in rows if since <= each.decided_at < until]
        if (wanted := self.chosen.made_by) is not None:
            rows = [each for each in rows if _maker(each.policy_version) == wanted]
        version = self._schema.version
        fitting = [each for each in rows if each.schema_version == version]
        self.found.of_other_schemas += len(rows) - len(fitting)
        return fitting if self.chosen.limit is None else fitting[: self.chosen.limit - self.rows]

    def _rule(self, rows: Sequence[Decision], made: Circumstances) -> None:
        transactions, now = self._schema.facts(rows), rows[0].decided_at
        lists: Lists = self._given
        if self._timeline:
            lists = {**self._timeline.at(made.offset, now, made.latest), **self._given}
        matrix = self.features.matrix(transactions, rows[0].model_version)
        scores = [each.score for each in rows]
        ruled = self._ruling.rule(
            transactions, scores, matrix, lists=lists, now=now, caps=made.caps
        )
        amount, label = self._schema.amount, self._label
        self._comparison.add(
            [each.decision for each in rows],
            ruled,
            [amount(each) or 0.0 for each in transactions],
            [bool(label(each)) for each in transactions],
        )


def _maker(policy_version: str) -> str:
    """Return the number of the policy in a version; the version itself if it has none."""
    version = Version.of(policy_version)
    return str(version.number) if version else policy_version
