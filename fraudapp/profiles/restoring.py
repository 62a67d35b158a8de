"""Loads a snapshot into profiles that are new, so that little of the log is left to read."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.kafka.offsets import ends
from fraudapp.labels.database import DatabaseDamaged
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.snapshot_files import FilesDiffer
from fraudapp.profiles.snapshots import SNAPSHOT_FAILED, Manifest, Snapshots
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

FIND_TIMEOUT: Final = 10.0
"""Seconds that the archive may take to say which snapshots there are."""
LOAD_TIMEOUT: Final = 300.0
"""Seconds that loading one may take; then the log is read."""
_INCOMING: Final = "incoming"


class Restoring:
    """Tries each snapshot once: one that turns out to be wrong is not loaded again."""

    def __init__(
        self, settings: Settings, snapshots: Snapshots, consumer: AIOKafkaConsumer
    ) -> None:
        """`consumer` is asked where the topics end."""
        self.is_loading = False
        self._settings = settings
        self._snapshots = snapshots
        self._consumer = consumer
        self._tried = set[str]()

    async def restore(self, folded: Folded) -> None:
        """Load the snapshot that has read most, if the profiles are new and one fits.

        Without any, or if the archive is away, they stay new. Raises `KafkaError`, and what
        clearing the profiles does.
        """
        if not folded.store.state.is_empty:
            return
        settings = self._settings
        topics = settings.decisions_topic, settings.labelled_topic
        wanted = [
            TopicPartition(topic, partition)
            for topic in topics
            for partition in range(settings.topic_partitions)
        ]
        found = await ends(self._consumer, wanted)
        high_waters = [
            {tp.partition: end.high_water for tp, end in found.items() if tp.topic == topic}
            for topic in topics
        ]

        def fits(manifest: Manifest) -> bool:
            offsets = manifest.state.decisions, manifest.state.labelled
            return (
                manifest.state.profile_version == folded.store.version
                and len(manifest.made_of) == len(folded.store.made_of)
                and all(map(LogIdentity.is_same, manifest.made_of, folded.store.made_of))
                and all(
                    offset <= known.get(partition, 0)
                    for known, of_topic in zip(high_waters, offsets, strict=True)
                    for partition, offset in of_topic.items()
                )
            )

        self.is_loading = True
        try:
            wait = asyncio.wait_for(self._snapshots.find(fits, but=self._tried), FIND_TIMEOUT)
            if (one := await wait) is not None:
                self._tried.add(one[0])
                await asyncio.wait_for(self._load(folded, *one), LOAD_TIMEOUT)
        except (DatabaseDamaged, *SNAPSHOT_FAILED) as exc:
            why = str(exc) or "the archive does not answer in time"
            log.warning("no snapshot of the profiles is loaded, all is read from the log: %s", why)
        finally:
            self.is_loading = False

    async def _load(self, folded: Folded, name: str, manifest: Manifest) -> None:
        began, incoming = monotonic(), folded.store.folder / _INCOMING
        await self._snapshots.load(name, manifest, incoming)
        try:
            folded.replace(incoming)
            if folded.store.state != manifest.state:
                raise FilesDiffer(f"the snapshot {name} does not hold what it says")
        except (DatabaseDamaged, FilesDiffer, OSError):
            folded.clear()
            raise
        log.info(
            "the snapshot %s of profiles is loaded: %.1f MB in %.1f s",
            *(name, manifest.bytes / 1e6, monotonic() - began),
        )
