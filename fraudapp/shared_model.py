"""The first model of a cluster: trained once, and taken by all others from the control topic.

A policy may name another model. This one scores while none does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from fraudapp.control.archived_models import NotFetched, fetched
from fraudapp.control.reader import reading
from fraudapp.control.writer import ControlWriter
from fraudapp.first_model import own_scorer, trained_scorer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.model_registry import ModelRegistry
from fraudapp.process.private_files import make_private
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.base import SinkUnavailable
from models.artifact import Card, ModelFileError, unpacked
from models.control.records import Archived, InvalidRecord, Published
from models.control.state import ControlState
from models.scorer import Scorer

log = logging.getLogger(__name__)

NOTE = "the first model"
"""The note of a model that came into the topic by itself."""
_LEAST_PATIENCE: Final = 0.1
"""Seconds; none at all is no time for `retry_forever`."""


async def shared_scorer(
    settings: Settings, producer: BatchProducer, progress: Callable[[str], None]
) -> Scorer:
    """Return the model of this machine, or else the first one of the topic for the schema.

    The topic is there. If it has none for the schema, it gets the one of this machine, which is
    trained if need be; of several that are trained at once, all take the first in the topic. What
    is taken is kept here, and active. Raises `KafkaError`, and like `ready_scorer`; `NotFetched` if
    `start_timeout` seconds were not enough to get the first one from the archive.
    """
    own = await asyncio.to_thread(own_scorer, settings)
    known = ControlState()
    async with reading(settings) as reader:

        async def read_to(offset: int) -> None:
            await reader.read_to(offset, known.apply)

        await read_to(await reader.end())
        try:
            version = await _first_in_time(settings, known.models, own)
        except NotFetched:
            if own is None:
                raise
            return own
        if version is None:
            scorer = own
            if scorer is None:
                scorer = await asyncio.to_thread(trained_scorer, settings, progress)
            writer = ControlWriter(settings, producer, known, read_to, reader.end)
            files = ModelRegistry.of(settings).files(scorer.version)
            try:
                await writer.distribute(scorer.version, *files, author=settings.app_id, note=NOTE)
            except (InvalidRecord, ModelFileError) as exc:
                log.warning("model %s is for this worker alone: %s", scorer.version, exc)
                return scorer
            except SinkUnavailable as exc:
                # With a model of its own, each worker would score in another way for good.
                raise ModelFileError(f"model {scorer.version} cannot be shared: {exc}") from exc
            # Another one may have been quicker.
            first = await _first_in_time(settings, known.models, own)
            version = first or scorer.version
    if own is not None:
        return own
    return await asyncio.to_thread(_taken, settings, version, known.models[version])


async def _first_in_time(
    settings: Settings, models: Mapping[str, Published], own: Scorer | None
) -> str | None:
    """Return the first model, without which a machine that has its own one can do."""
    found, within = None, max(_LEAST_PATIENCE, settings.start_timeout if own is None else 0.0)
    async for attempt in retry_forever("taking the first model", on=NotFetched, within=within):
        with attempt:
            found = await asyncio.to_thread(_first, settings, models)
    return found


def _first(settings: Settings, models: Mapping[str, Published]) -> str | None:
    """Return the first model that the schema can use; damaged ones, and those of others, do not.

    Raises `NotFetched`: without it, a worker would train another one.
    """
    for version, told in models.items():
        if isinstance(told, Archived) and not _is_for(settings, told):
            continue
        try:
            unpacked(version, *fetched(settings, version, told), settings.transaction_schema)
        except NotFetched:
            raise
        except ModelFileError:
            continue
        return version
    return None


def _is_for(settings: Settings, told: Archived) -> bool:
    try:
        card = msgspec.json.decode(told.card, type=Card)
    except msgspec.MsgspecError:
        return False
    return card.feature_contract == settings.transaction_schema.contract


def _taken(settings: Settings, version: str, told: Published) -> Scorer:
    make_private(settings.data_dir)
    registry = ModelRegistry.of(settings)
    registry.keep(version, *fetched(settings, version, told))
    log.info("model %s is the first one of topic %s", version, settings.control_topic)
    return registry.activate(version)
