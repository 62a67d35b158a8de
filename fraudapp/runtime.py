"""What a worker holds while it runs: model, stores and waiting callers, opened before Kafka."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from mode import Service

from fraudapp import topics
from fraudapp.announcements import Announcements
from fraudapp.first_model import ready_scorer
from fraudapp.settings import Settings, unknown_variables
from fraudapp.stores.base import StoreUnavailable
from fraudapp.stores.keeping import Stores
from fraudapp.topics import BrokerUnavailable, TopicsMisfit
from fraudapp.waiting import Waiting
from models.artifact import ModelFileError
from models.deciding import BatchScorer

log = logging.getLogger(__name__)

CANNOT_START: Final = (
    BrokerUnavailable,
    TopicsMisfit,
    StoreUnavailable,
    ModelFileError,
    ValueError,  # of training, whose module is too heavy to import for its class
)


class Runtime(Service):
    """The first service of a worker to be opened, and the last to be closed.

    `scorer` and `stores` are there once it has started.
    """

    scorer: BatchScorer
    stores: Stores

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.policy = settings.policy
        self.waiting = Waiting()
        super().__init__()

    async def on_start(self) -> None:
        """Train the first model if there is none, make topics and tables, connect to the stores."""
        for sentence in unknown_variables():
            log.warning(sentence)
        try:
            self.scorer = await asyncio.to_thread(ready_scorer, self.settings, log.info)
            self.stores = Stores(self.settings)
            await asyncio.gather(topics.ensure(self.settings), self.stores.open())
        except CANNOT_START as exc:
            log.critical("cannot start: %s", exc)
            # The sentence above says what to do; a stack trace would bury it.
            raise SystemExit(1) from exc
        await self.add_runtime_dependency(Announcements(self.settings, self.waiting))

    async def on_stop(self) -> None:
        """Disconnect."""
        if hasattr(self, "stores"):  # on a failed start there may be none
            await self.stores.close()
