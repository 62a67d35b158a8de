"""A model of the control topic serves as its card says, or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fraudapp.control.archived_models import ArchivedModels
from fraudapp.control.model_shelf import ModelShelf
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import archive_at
from models.artifact import Card
from models.control.records import (
    Archived,
    Distributed,
    InvalidRecord,
    ModelKey,
    distribution,
    read,
)
from models.control.state import Change, ControlState
from models.schema.schema import PAYSIM, Schema, preset
from models.training.train import TrainedModel, train
from tests.support.scoring import Named
from tests.support.tiny_model import none_archived
from tests.support.transactions import transaction
from tests.unit.models.conftest import generated

pytestmark = pytest.mark.slow

DAMAGED = 300
Files = tuple[str, bytes, bytes]


@pytest.fixture(scope="module")
def small() -> TrainedModel:
    return train(generated(rows=20_000, fraud_rate=0.02, seed=5), "logistic")


@pytest.fixture(scope="module")
def files(small: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Version, model file and card."""
    registry = ModelRegistry(tmp_path_factory.mktemp("models"))
    version = registry.add(small)
    return version, *registry.files(version)


def told(model: bytes, card: bytes) -> Distributed:
    return Distributed.of(model, card, author="ann")


def test_a_model_scores_as_where_it_was_trained(files: Files, small: TrainedModel) -> None:
    version, *both = files
    known = ControlState()
    key, value, headers = distribution(version, told(*both))
    record = read(7, 0, key, value, headers)
    assert record.key == ModelKey(version)
    assert known.apply(record) is Change.MODEL
    assert known.apply(read(8, 0, key, value, headers)) is Change.NOTHING
    shelf = ModelShelf(Named("own"), PAYSIM, known.models, none_archived())
    assert (shelf.problem(None), shelf.problem("own"), shelf.problem(version)) == (None,) * 3
    batch = [transaction(amount=10.0**power) for power in range(6)]
    scorer = shelf.scorer(version)
    own = small.model.body.compiled(len(PAYSIM.features.names))
    expected = own.log_odds(scorer.matrix(batch))
    assert scorer.version == version
    assert scorer.score_matrix(scorer.matrix(batch)).tolist() == pytest.approx(
        [1 / (1 + 2.718281828459045**-each) for each in expected]
    )
    assert shelf.scorer(version) is scorer
    assert "is not in the control topic" in (shelf.problem("gradient_boosting-0") or "")


def damages(model: bytes, card: bytes, chance: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """Both files with one of them changed: a byte, a cut, a piece twice, a number."""
    both = [model, card]
    while True:
        place = chance.randrange(2)
        content = both[place]
        at, end = sorted(chance.sample(range(len(content)), 2))
        ways = (
            content[:at] + bytes([chance.randrange(32, 127)]) + content[at + 1 :],
            content[:at],
            content[:at] + content[end:],
            content[:end] + content[at:],
            content.replace(b"0.", b"1.", 1) if chance.random() < 0.5 else content[end:],
            b"",
        )
        made = chance.choice(ways)
        if made != content:
            yield (made, card) if place == 0 else (model, made)


def test_a_damaged_record_is_skipped_by_all(files: Files) -> None:
    version, model, card = files
    whole = told(model, card)
    ways = damages(model, card, random.Random(1))
    for _ in range(DAMAGED):
        changed = next(ways)
        try:
            value = Distributed(
                model=changed[0].decode(),
                card=changed[1].decode(),
                sha256=whole.sha256,
                author="ann",
            )
        except UnicodeDecodeError:
            continue
        with pytest.raises(InvalidRecord, match="was changed or damaged"):
            read(0, 0, *distribution(version, value))


def test_a_model_whose_files_do_not_belong_together_does_not_serve(
    files: Files,
) -> None:
    version, model, card = files
    card_of = msgspec.json.decode(card, type=Card)
    assert len(card_of.probes) > 10
    wrong = [
        (msgspec.structs.replace(card_of, version="logistic-0123456789abcdef"), "is that of"),
        (msgspec.structs.replace(card_of, probes=card_of.probes[:-1]), "does not score as"),
        (
            msgspec.structs.replace(card_of, probes=[1 - each for each in card_of.probes]),
            "does not score as",
        ),
    ]
    for changed, why in wrong:
        shelf = ModelShelf(
            Named("own"),
            PAYSIM,
            {version: told(model, msgspec.json.encode(changed))},
            none_archived(),
        )
        assert why in (shelf.problem(version) or "")
    shelf = ModelShelf(Named("own"), PAYSIM, {version: told(model, b"{}")}, none_archived())
    assert "is not a model file" in (shelf.problem(version) or "")
    shelf = ModelShelf(Named("own"), preset("cards"), {version: told(model, card)}, none_archived())
    assert "was trained for features" in (shelf.problem(version) or "")


def test_an_older_card_without_probes_serves(files: Files) -> None:
    version, model, card = files
    fields = msgspec.json.decode(card)
    del fields["probes"]
    shelf = ModelShelf(
        Named("own"), PAYSIM, {version: told(model, msgspec.json.encode(fields))}, none_archived()
    )
    assert shelf.problem(version) is None


@pytest.mark.parametrize("version", ["", "a b", "x" * 129, "../x", "ü"])
def test_a_key_without_a_version_is_no_model(version: str, files: Files) -> None:
    _, model, card = files
    with pytest.raises(InvalidRecord):
        read(0, 0, *distribution(version, told(model, card)))


async def test_one_of_the_archive_passes_the_same_checks(files: Files, tmp_path: Path) -> None:
    version, model, card = files
    environment = {"FRAUD_ARCHIVE_URL": tmp_path.as_uri(), "FRAUD_DATA_DIR": str(tmp_path / "data")}
    settings = load(environment)
    archived = ArchivedModels(settings, archive_at(settings))
    fields = msgspec.json.decode(card, type=Card)
    probes = [1 - each for each in fields.probes]
    strange = msgspec.json.encode(msgspec.structs.replace(fields, probes=probes))
    other = "logistic-0123456789abcdef"
    cases: list[tuple[str, bytes, Schema, str | None]] = [
        (version, card, PAYSIM, None),
        (version, strange, PAYSIM, "does not score as its card"),
        (other, card, PAYSIM, "does not match its name"),
        (version, card, preset("cards"), "was trained for features"),
    ]
    for name, its_card, schema, why in cases:
        known = {name: Archived.of(model, its_card, author="ann")}
        shelf = ModelShelf(Named("own"), schema, known, archived)
        assert "not yet here" in (shelf.problem(name) or "")
        await archived.put(name, known[name], model)
        assert await archived.fetch(name, known[name])
        said = shelf.problem(name)
        assert (said is None) if why is None else (why in (said or ""))
        (archived._folder / f"{known[name].sha256}.json").unlink()
        assert shelf.problem(name) == said  # what was found is kept: the content is the same
