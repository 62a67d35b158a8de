"""The models that are too large for a record: in the archive, with a copy on this disk.

    models/VERSION/SHA256.json     in the archive: the model file; the record has its card
    .archived/SHA256.json          in the folder of models: the copy of this machine

SHA256 is that of the record, and nothing with another one is kept or handed out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fraudapp.control import metrics
from fraudapp.operation import Operation
from fraudapp.process.private_files import make_private, write_private
from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import Archive, archive_at
from fraudapp.sinks.base import SinkUnavailable
from models.artifact import ModelFileError
from models.control.records import Archived, Distributed, Published

FOLDER: Final = "models"
"""Folder of the archive; neither retention nor `purge` deletes anything in it."""
COPIES: Final = ".archived"
"""Folder in that of models."""
_JSON: Final = "application/json"
_FAILED: Final = (SinkUnavailable, ModelFileError, OSError)

Files = tuple[bytes, bytes]
"""A model file, and its card."""


class NotFetched(ModelFileError):
    """A model of the control topic is in the archive, and this machine has no copy of it yet."""


class ArchivedModels:
    """Brings models from the archive; whatever is wrong with one is told, and tried again."""

    def __init__(self, settings: Settings, archive: Archive) -> None:
        self._settings = settings
        self._archive = archive
        self._folder = settings.model_dir / COPIES
        self._here: set[str] = set()
        self._asked: set[str] = set()
        self._fetching: dict[str, Operation] = {}

    def files(self, version: str, told: Published) -> Files:
        """Return the files of a model, which blocks for one of the archive.

        They are as the record says. Raises `NotFetched`; then it comes next in `missing`.
        """
        if isinstance(told, Distributed):
            return told.files
        if (model := self._copy(told)) is None:
            self._here.discard(version)
            self._asked.add(version)
            raise NotFetched(
                f"model {version} is in the archive, and not yet here: "
                + (self.trouble(version) or "it is being fetched")
            )
        return model, told.card.encode()

    def missing(
        self, models: Mapping[str, Published], but: Collection[str] = (), *, asked: bool = False
    ) -> str | None:
        """Return a model that has no copy here yet, first those that `files` was asked for.

        With `asked`, it is one of these. Whether there is an old copy is found by `fetch`.
        """
        found = {version for version, told in models.items() if isinstance(told, Archived)}
        found -= self._here.union(but)
        wanted = found & self._asked
        return next(iter(wanted if asked else wanted or found), None)

    async def fetch(self, version: str, told: Published) -> bool:
        """Have a copy of a model; returns whether there is one now, see `trouble`."""
        what = f"fetching model {version} from the archive"
        operation = self._fetching.setdefault(version, Operation(what))
        operation.began()
        try:
            await self.bring(version, told)
        except _FAILED as exc:
            operation.failed(exc)
        else:
            operation.succeeded()
        failing = [each for each in self._fetching.values() if each.reason]
        metrics.unfetched.set(len(failing))
        return operation.reason is None

    def trouble(self, version: str) -> str:
        """Return why the last `fetch` of a model has failed; empty if it has not."""
        operation = self._fetching.get(version)
        return (operation.reason or "") if operation else ""

    def troubles(self) -> list[str]:
        """Return a sentence for each model that cannot be fetched."""
        return [found for each in self._fetching.values() if (found := each.trouble())]

    async def bring(self, version: str, told: Published) -> None:
        """Have a copy of a model, from the archive if there is none that is whole.

        Raises `SinkUnavailable`, `ModelFileError` for what is not as the record says, or `OSError`.
        """
        if isinstance(told, Archived):
            if await asyncio.to_thread(self._copy, told) is None:
                # One byte more tells a file that is larger than said, whatever its size.
                model = await self._archive.read(_key(version, told), told.model_bytes + 1)
                await asyncio.to_thread(self._keep, version, told, model)
            self._here.add(version)
            self._asked.discard(version)

    async def put(self, version: str, told: Archived, model: bytes) -> None:
        """Write a model into the archive unless it is there, and read it back.

        Raises `SinkUnavailable` or `ModelFileError`.
        """
        if self._settings.archive_url is None:
            raise ModelFileError(
                f"model {version} and its card have {told.size:,} bytes, and are too large for a "
                "record (see FRAUD_MODEL_RECORD_BYTES); name in FRAUD_ARCHIVE_URL the archive that "
                "all workers share"
            )
        key = _key(version, told)
        if not told.is_whole(model):
            raise ModelFileError(f"model {version} was published with another content")
        if await self._archive.read(key, len(model) + 1) == model:
            return
        await self._archive.write(key, model, _JSON)
        if await self._archive.read(key, len(model) + 1) != model:
            raise ModelFileError(
                f"{self._settings.archive} does not return {key} as it was written"
            )

    def _copy(self, told: Archived) -> bytes | None:
        try:
            with self._path(told).open("rb") as file:
                model = file.read(told.model_bytes + 1)
        except OSError:
            return None
        return model if told.is_whole(model) else None

    def _keep(self, version: str, told: Archived, model: bytes | None) -> None:
        if wrong := _difference(told, model):
            raise ModelFileError(
                f"{_key(version, told)} in {self._settings.archive} {wrong}; write it again, from "
                f"where the model is: `fraudapp models publish {version}`"
            )
        make_private(self._settings.data_dir)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path(told), model or b"")

    def _path(self, told: Archived) -> Path:
        return self._folder / f"{told.sha256}.json"


@asynccontextmanager
async def archived_models(settings: Settings) -> AsyncIterator[ArchivedModels]:
    """Connect to the archive for the body of `async with`."""
    archive = archive_at(settings)
    try:
        yield ArchivedModels(settings, archive)
    finally:
        await archive.close()


def fetched(settings: Settings, version: str, told: Published) -> Files:
    """Return the files of a model, from the archive if need be; blocks, with a loop of its own.

    Raises `NotFetched`.
    """
    if isinstance(told, Distributed):
        return told.files

    async def fetch() -> Files:
        async with archived_models(settings) as models:
            try:
                await models.bring(version, told)
            except _FAILED as exc:
                raise NotFetched(f"model {version} cannot be fetched: {exc}") from exc
            return models.files(version, told)

    with ThreadPoolExecutor(1) as other:  # the loop of this thread may be running
        return other.submit(asyncio.run, fetch()).result()


def _key(version: str, told: Archived) -> str:
    return f"{FOLDER}/{version}/{told.sha256}.json"


def _difference(told: Archived, model: bytes | None) -> str | None:
    """Return what is wrong with what was read, None if it is the model."""
    if model is None:
        return "is not there"
    if len(model) > told.model_bytes:
        return f"has more than the {told.model_bytes:,} bytes that it was published with"
    if len(model) < told.model_bytes:
        return f"was cut: it has {len(model):,} of {told.model_bytes:,} bytes"
    return None if told.is_whole(model) else "was changed or damaged: its hash is another one"
