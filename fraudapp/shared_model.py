"""The first model of a cluster: trained once, and taken by all others from the control topic.

A policy may name another model. This one scores while none does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from fraudapp.control.reader import reading
from fraudapp.control.writer import ControlWriter
from fraudapp.first_model import own_scorer, trained_scorer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.model_registry import ModelRegistry
from fraudapp.process.private_files import make_private
from fraudapp.settings import Settings
from models.artifact import ModelFileError, unpacked
from models.control.records import Distributed, InvalidRecord
from models.control.state import ControlState
from models.scorer import Scorer

log = logging.getLogger(__name__)

NOTE = "the first model"
"""The note of a model that came into the topic by itself."""


async def shared_scorer(
    settings: Settings, producer: BatchProducer, progress: Callable[[str], None]
) -> Scorer:
    """Return the model of this machine, or else the first one of the topic for the schema.

    The topic is there. If it has none for the schema, it gets the one of this machine, which is
    trained if need be; of several that are trained at once, all take the first in the topic. What
    is taken is kept here, and active. Raises `KafkaError`, and like
    `ready_scorer`.
    """
    own = await asyncio.to_thread(own_scorer, settings)
    known = ControlState()
    async with reading(settings) as reader:

        async def read_to(offset: int) -> None:
            await reader.read_to(offset, known.apply)

        await read_to(await reader.end())
        version = await asyncio.to_thread(_first, settings, known.models)
        if version is None:
            scorer = own
            if scorer is None:
                scorer = await asyncio.to_thread(trained_scorer, settings, progress)
            writer = ControlWriter(settings, producer, known, read_to, reader.end)
            files = ModelRegistry.of(settings).files(scorer.version)
            try:
                await writer.distribute(scorer.version, *files, author=settings.app_id, note=NOTE)
            except InvalidRecord as exc:
                log.warning("model %s is for this worker alone: %s", scorer.version, exc)
                return scorer
            # Another one may have been quicker.
            first = await asyncio.to_thread(_first, settings, known.models)
            version = first or scorer.version
    if own is not None:
        return own
    return await asyncio.to_thread(_taken, settings, version, known.models[version])


def _first(settings: Settings, models: Mapping[str, Distributed]) -> str | None:
    """Return the first model that the schema can use; damaged ones, and those of others, do not."""
    for version, told in models.items():
        try:
            unpacked(version, *told.files, settings.transaction_schema)
        except ModelFileError:
            continue
        return version
    return None


def _taken(settings: Settings, version: str, told: Distributed) -> Scorer:
    make_private(settings.data_dir)
    registry = ModelRegistry.of(settings)
    registry.keep(version, *told.files)
    log.info("model %s is the first one of topic %s", version, settings.control_topic)
    return registry.activate(version)
