"""Follows the control topic: what every worker decides with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Final

from mode import Service

from fraudapp.condition import Condition
from fraudapp.control import metrics
from fraudapp.control.archived_models import ArchivedModels
from fraudapp.control.fitting import MAX_TOLD, Fitting, compiled, last_fitting, problem
from fraudapp.control.model_shelf import ModelShelf
from fraudapp.control.reader import ControlReader
from fraudapp.kafka.following import next_records
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import Archive
from models.control.chain import Candidate
from models.control.records import ControlRecord
from models.control.state import Change, ControlState
from models.policies.in_force import InForce, of_thresholds
from models.policies.reading import PolicyError
from models.scorer import BatchScorer

log = logging.getLogger(__name__)

FETCH_SECONDS: Final = 5.0
"""Seconds after which models that could not be fetched from the archive are tried again."""


class ControlLog(Service):
    """Has in force what the topic says, from before the first decision on.

    Everything changes between two batches, since nothing here waits while it changes. All workers
    that have read as far have the same in force.
    """

    def __init__(self, settings: Settings, scorer: BatchScorer, archive: Archive) -> None:
        """`scorer` is the worker's own, by which policies decide that name no model.

        `archive` has the models that are too large for the topic.
        """
        self.known = ControlState()
        """What the topic says, as far as it was read."""
        self.changed = Condition()
        """Notified whenever `in_force` or `known` has changed."""
        self._schema: Final = settings.transaction_schema
        self._archived: Final = ArchivedModels(settings, archive)
        self.models: Final = ModelShelf(scorer, self._schema, self.known.models, self._archived)
        """What policies may name."""
        self._thresholds = of_thresholds(settings.policy, self._schema)
        self._fitting = Fitting(None, None)
        self._reader = ControlReader(settings)
        self._following = Operation(f"following {settings.control_topic}")
        self._turn = asyncio.Lock()  # one at a time looks for what fits, and puts it in force
        self._settled = 0  # next offset of the topic up to which all is in force
        self.in_force: InForce = self._thresholds
        """What decides now; another one after each change."""
        super().__init__()

    @property
    def candidate(self) -> Candidate | None:
        """The policy that is in force; None if thresholds of the settings are."""
        return self._fitting.candidate

    async def on_start(self) -> None:
        """Read the topic to its end; raises `KafkaError` if it cannot connect.

        A model of the archive that the last policy needs, and of which there is no copy here, is
        tried once: without the archive, the policy before is in force until it is there.
        """
        await self._reader.start()
        # What has expired long ago is not first counted in, and then out by the first decision.
        self.known.lists.at(datetime.now(timezone.utc))
        async for attempt in retry_forever(self._following):
            with attempt:
                end = await self._reader.end()
                while self._reader.next_offset < end:
                    for record in await self._reader.more():
                        self.known.apply(record)
        fitting, tried = await self._last_fitting(), set[str]()
        while version := self._archived.missing(self.known.models, tried, asked=True):
            tried.add(version)
            await self._archived.fetch(version, self.known.models[version])
            fitting = await self._last_fitting()
        self._settled = self._reader.next_offset
        self._put_in_force(fitting)

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()

    async def end(self) -> int:
        """Return the offset that the next record of the topic will get; raises `KafkaError`."""
        return await self._reader.end()

    async def read_to(self, offset: int) -> None:
        """Return once all records before an offset were read, and what they say is in force."""
        await self.changed.wait_for(lambda: self._settled >= offset)

    def troubles(self) -> list[str]:
        """Return why the topic cannot be read; an empty list if it can, or a broker is silent.

        aiokafka waits in silence for a broker that does not answer: see `ReadabilityProbe`.
        """
        return troubles([self._following])

    def notes(self) -> list[str]:
        """Return a sentence for each policy since the one in force that is not, and why.

        Of many, the last ones are told of. So are models that cannot be fetched from the archive,
        and entries for which there was no room.
        """
        found = [*self._fitting.problems, *self._archived.troubles()]
        if refused := self.known.lists.refused:
            found.append(
                f"entries of lists that are left out, since there are too many: {refused:,}"
            )
        return found

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            # What expires goes step by step, also while there are no decisions.
            self.known.lists.at(datetime.now(timezone.utc))
            fetched = await next_records(self, self._reader.consumer, self._following)
            if fetched is not None:  # without any record, there may have been a transaction's end
                records = await self._reader.taken(fetched.get(self._reader.partition, ()))
                async with self._turn:
                    await self._take(records)

    @Service.task
    async def _fetch(self) -> None:
        failed: set[str] = set()
        while not self.should_stop:
            version = self._archived.missing(self.known.models, failed)
            if version is None:
                await self._until_missing(failed)
                continue
            if not await self._archived.fetch(version, self.known.models[version]):
                failed.add(version)
            else:
                async with self._turn:  # a policy that names it may just be looked at
                    if self._fitting.problems:
                        await self._fit_again()
            self.changed.notify()  # there are other notes

    async def _until_missing(self, failed: set[str]) -> None:
        """Return once another model is missing; or else forget, after a while, what has failed."""

        def is_missing() -> bool:
            return self._archived.missing(self.known.models, failed) is not None

        try:
            await asyncio.wait_for(self.changed.wait_for(is_missing), FETCH_SECONDS)
        except asyncio.TimeoutError:
            failed.clear()

    async def _take(self, records: Sequence[ControlRecord]) -> None:
        if not records and self._settled == self._reader.next_offset:
            return
        for record in records:
            change = self.known.apply(record)
            if change is Change.POLICY:
                await self._change_policy()
            elif change is Change.MODEL and self._fitting.problems:
                await self._fit_again()  # a policy may have named it before it was there
        self._settled = self._reader.next_offset
        self._refresh()

    async def _fit_again(self) -> None:
        self._refresh()
        self._put_in_force(await self._last_fitting())

    async def _last_fitting(self) -> Fitting:
        return await asyncio.to_thread(last_fitting, self.known.chain, self._schema, self.models)

    async def _change_policy(self) -> None:
        candidate = self.known.chain.members[-1]
        # What was read before goes with the policy that is still in force.
        self._refresh()
        try:
            ruling = await asyncio.to_thread(compiled, candidate, self._schema, self.models)
        except PolicyError as exc:
            sentence = problem(candidate, exc)
            log.error(sentence)  # noqa: TRY400 - it says what to do; a traceback would bury it
            metrics.unfit.set(1)
            problems = (sentence, *self._fitting.problems)[:MAX_TOLD]
            self._fitting = self._fitting._replace(problems=problems)
        else:
            self._put_in_force(Fitting(candidate, ruling))

    def _put_in_force(self, fitting: Fitting) -> None:
        self._fitting = fitting
        for sentence in fitting.problems:
            log.error(sentence)
        metrics.unfit.set(bool(fitting.problems))
        self._refresh()
        if fitting.candidate:
            log.info("policy %s is in force", self.in_force.version)
            if self.in_force.scorer:
                log.info("model %s scores", self.in_force.scorer.version)
            for each in self.in_force.challengers:
                log.info("model %s scores in shadow", each.version)
            if canary := self.in_force.canary:
                share = self.in_force.ruling.policy.canary
                log.info("model %s decides for %g of senders", canary.challenger.version, share)

    def _refresh(self) -> None:
        """Name what is in force by all that was read."""
        candidate, ruling, _ = self._fitting
        if candidate is None or ruling is None:
            self.in_force = self._thresholds
        else:
            chosen = self.models.chosen(ruling.policy)
            self.in_force = self.known.in_force(candidate, ruling, *chosen)
        self.changed.notify()
