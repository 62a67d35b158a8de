"""The models that a worker can score with: its own, and those that the control topic has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from fraudapp.control.archived_models import ArchivedModels
from models.artifact import ModelFileError, unpacked
from models.canary import Canary
from models.challenger import Challenger
from models.control.records import Published
from models.policies.definition import PolicyFile
from models.schema.schema import Schema
from models.scorer import BatchScorer


class Models(Protocol):
    """Tells which models can serve."""

    def problem(self, version: str | None) -> str | None:
        """Return why a model cannot serve here, None if it can; a policy may name none."""


class Chosen(NamedTuple):
    """What a policy names of the models; see `InForce`."""

    scorer: BatchScorer | None
    challengers: Sequence[Challenger]
    canary: Canary | None


class ModelShelf(Models):
    """Unpacks a model once, and checks it before it can serve."""

    def __init__(
        self,
        own: BatchScorer,
        schema: Schema,
        published: Mapping[str, Published],
        archived: ArchivedModels,
    ) -> None:
        """`published` are those of the topic; it may grow. `archived` has the large ones' files."""
        self._own = own
        self._schema = schema
        self._published = published
        self._archived = archived
        self._scorers = {own.version: own}
        self._refused: dict[str, ModelFileError] = {}  # of the topic, where they stay as they are
        self._challengers: dict[str, Challenger] = {}

    def problem(self, version: str | None) -> str | None:
        """See `Models.problem`; takes some milliseconds for one that was not asked for before."""
        try:
            self.scorer(version)
        except ModelFileError as exc:
            return str(exc)
        return None

    def scorer(self, version: str | None) -> BatchScorer:
        """Return what scores by a model, the worker's own for None; raises `ModelFileError`.

        It may have to read a model from the disk; of the archive it only says that one is there.
        """
        if version is None:
            return self._own
        if version not in self._scorers:
            if (found := self._published.get(version)) is None:
                raise ModelFileError(
                    f"it is for model {version}, which is not in the control topic, and "
                    f"{self._own.version} serves here: `fraudapp models publish {version}`"
                )
            if version in self._refused:
                raise self._refused[version].with_traceback(None)
            files = self._archived.files(version, found)
            try:
                self._scorers[version] = unpacked(version, *files, self._schema)
            except ModelFileError as exc:
                self._refused[version] = exc
                raise
        return self._scorers[version]

    def trouble(self, version: str) -> str:
        """Return why a model cannot be fetched from the archive; empty if it can, or need not."""
        return self._archived.trouble(version)

    @property
    def own(self) -> BatchScorer:
        """The worker's own, which scores where a policy names none."""
        return self._own

    def challenger(self, version: str) -> Challenger:
        """Return a model that scores in shadow, with its counts; raises `ModelFileError`.

        The counts go on where a policy names it again.
        """
        if version not in self._challengers:
            self._challengers[version] = Challenger(self.scorer(version))
        return self._challengers[version]

    def chosen(self, policy: PolicyFile) -> Chosen:
        """Return the models of a policy that fits the schema; raises `ModelFileError`."""
        scorer = self.scorer(policy.model) if policy.model else None
        challengers = [*map(self.challenger, policy.shadow)]
        canary, decides = None, (scorer or self._own).version
        if policy.canary and challengers[0].version != decides:
            champion = self.challenger(decides)
            canary = Canary(challengers[0], champion, policy.canary, self._schema)
        return Chosen(scorer, challengers, canary)

    @property
    def challengers(self) -> Mapping[str, Challenger]:
        """All that have scored in shadow since the worker has started, by version."""
        return self._challengers
