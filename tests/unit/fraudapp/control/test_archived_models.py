"""A model of the archive is handed out as it was published, or not at all, and it is told why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from fraudapp.control import metrics
from fraudapp.control.archived_models import COPIES, ArchivedModels, NotFetched, fetched
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.archive.folder import FolderArchive
from models.artifact import ModelFileError
from models.control.records import Archived, Distributed, Published
from models.seals import name_digest

MODEL = b'{"kind":"logistic","numbers":[' + b"0.25," * 400 + b"0.5]}"
CARD = b'{"version":"x"}'
VERSION = f"logistic-{name_digest(MODEL)}"
TOLD = Archived.of(MODEL, CARD, author="ann")


class Site:
    """A machine, and the archive that it shares."""

    def __init__(self, root: Path, name: str = "one") -> None:
        environment = {
            "FRAUD_ARCHIVE_URL": (root / "archive").as_uri(),
            "FRAUD_DATA_DIR": str(root / name),
        }
        self.settings: Settings = load(environment)
        self.archive = root / "archive"
        self.object = self.archive / "models" / VERSION / f"{TOLD.sha256}.json"
        self.copy = self.settings.model_dir / COPIES / f"{TOLD.sha256}.json"
        self.models = self.started()

    def started(self) -> ArchivedModels:
        """Those of a process that has just begun."""
        return ArchivedModels(self.settings, archive_at(self.settings))


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    """A machine without a copy of the model, which is in the archive."""
    site = Site(tmp_path)
    await site.models.put(VERSION, TOLD, MODEL)
    return site


async def test_what_was_put_is_fetched_once_and_stays_without_the_archive(site: Site) -> None:
    assert site.object.read_bytes() == MODEL
    with pytest.raises(NotFetched, match="it is being fetched"):
        site.models.files(VERSION, TOLD)
    assert await site.models.fetch(VERSION, TOLD)
    site.archive.rename(site.archive.with_name("away"))
    for models in (site.models, site.started()):
        assert models.files(VERSION, TOLD) == (MODEL, CARD)
        assert await models.fetch(VERSION, TOLD)
        assert (models.trouble(VERSION), models.troubles()) == ("", [])
    assert site.copy.parent.stat().st_mode & 0o077 == 0
    assert [each.name for each in site.copy.parent.iterdir()] == [site.copy.name]


def _away(site: Site) -> None:
    site.archive.rename(site.archive.with_name("elsewhere"))
    site.archive.write_text("a file where the folder was")


def _back(site: Site) -> None:
    site.archive.unlink()
    site.archive.with_name("elsewhere").rename(site.archive)


def _content(changed: bytes) -> Callable[[Site], object]:
    return lambda site: site.object.write_bytes(changed)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_away, "archive: "),
        (lambda site: site.object.unlink(), "is not there"),
        (_content(b""), f"was cut: it has 0 of {len(MODEL):,} bytes"),
        (_content(MODEL[:-1]), f"was cut: it has {len(MODEL) - 1:,} of {len(MODEL):,} bytes"),
        (_content(MODEL + b" "), f"has more than the {len(MODEL):,} bytes"),
        (_content(MODEL * 2), f"has more than the {len(MODEL):,} bytes"),
        (_content(MODEL.replace(b"0.5", b"0.6")), "its hash is another one"),
        (_content(bytes(len(MODEL))), "its hash is another one"),
    ],
)
async def test_what_is_wrong_is_told_and_heals(
    site: Site,
    damage: Callable[[Site], object],
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(site)
    with caplog.at_level(logging.INFO):
        assert not await site.models.fetch(VERSION, TOLD)
        assert why in site.models.trouble(VERSION)
        assert why in caplog.text
        (told,) = site.models.troubles()
        assert f"fetching model {VERSION} from the archive: " in told
        with pytest.raises(NotFetched, match="and not yet here: ") as refused:
            site.models.files(VERSION, TOLD)
        assert why in str(refused.value)
        assert metrics.unfetched._value.get() == 1
        assert not site.copy.exists()
        if site.archive.is_file():
            _back(site)
        else:
            await site.models.put(VERSION, TOLD, MODEL)  # what `models publish` does again
        assert await site.models.fetch(VERSION, TOLD)
    assert "succeeded again" in caplog.text
    assert site.models.files(VERSION, TOLD) == (MODEL, CARD)
    assert (site.models.trouble(VERSION), site.models.troubles()) == ("", [])
    assert metrics.unfetched._value.get() == 0


@pytest.mark.parametrize("content", [b"", MODEL[:9], MODEL + b"x", MODEL.replace(b"0.5", b"0.6")])
async def test_a_damaged_copy_is_fetched_again(site: Site, content: bytes) -> None:
    await site.models.bring(VERSION, TOLD)
    site.copy.write_bytes(content)
    models = site.started()
    assert models.missing({VERSION: TOLD}) == VERSION
    with pytest.raises(NotFetched):
        models.files(VERSION, TOLD)
    assert await models.fetch(VERSION, TOLD)
    assert site.copy.read_bytes() == MODEL


async def test_of_an_object_that_is_far_too_large_little_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int | None] = []
    read = FolderArchive.read

    async def noted(archive: FolderArchive, key: str, limit: int | None = None) -> bytes | None:
        limits.append(limit)
        return await read(archive, key, limit)

    monkeypatch.setattr(FolderArchive, "read", noted)
    site.object.write_bytes(MODEL * 1_000)
    assert not await site.models.fetch(VERSION, TOLD)
    assert limits == [len(MODEL) + 1]


async def test_what_is_asked_for_comes_first(site: Site) -> None:
    others: dict[str, Published] = {
        f"other-{n}": Archived.of(b"%d" % n, CARD, author="ann") for n in range(9)
    }
    models: dict[str, Published] = {
        **others,
        VERSION: TOLD,
        "small": Distributed.of(b"1", b"2", author="ann"),
    }
    assert site.models.missing(models, asked=True) is None
    with pytest.raises(NotFetched):
        site.models.files(VERSION, TOLD)
    assert site.models.missing(models) == VERSION
    assert site.models.missing(models, asked=True) == VERSION
    assert site.models.missing(models, {VERSION}, asked=True) is None
    assert (site.models.missing(models, {VERSION}) or "") in others
    await site.models.bring(VERSION, TOLD)
    assert site.models.missing(models, others) is None
    assert site.models.files("small", models["small"]) == (b"1", b"2")


async def test_a_command_fetches_where_it_needs_a_model(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path, "other")
    assert fetched(other.settings, VERSION, TOLD) == (MODEL, CARD)
    other.object.unlink()
    assert fetched(other.settings, VERSION, TOLD) == (MODEL, CARD)
    with pytest.raises(NotFetched, match=r"cannot be fetched: .* is not there"):
        fetched(site.settings, VERSION, TOLD)


async def test_only_an_archive_that_all_share_takes_a_model(tmp_path: Path) -> None:
    settings = load({"FRAUD_DATA_DIR": str(tmp_path)})
    models = ArchivedModels(settings, archive_at(settings))
    with pytest.raises(ModelFileError, match="FRAUD_ARCHIVE_URL"):
        await models.put(VERSION, TOLD, MODEL)
    assert not (tmp_path / "archive").exists()


async def test_a_model_with_another_content_is_not_put_in_its_place(site: Site) -> None:
    with pytest.raises(ModelFileError, match="with another content"):
        await site.models.put(VERSION, TOLD, MODEL + b" ")
    assert site.object.read_bytes() == MODEL


async def test_an_archive_that_takes_what_it_does_not_keep_is_found_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(archive: FolderArchive, key: str, body: bytes, content_type: str) -> None:
        site.object.write_bytes(body[:-1])

    monkeypatch.setattr(FolderArchive, "write", lost)
    site.object.unlink()
    with pytest.raises(ModelFileError, match="does not return models/"):
        await site.models.put(VERSION, TOLD, MODEL)


async def test_no_day_that_is_deleted_takes_a_model_with_it(site: Site) -> None:
    archive = archive_at(site.settings)
    assert (await archive.days(), await archive.purge(date.max)) == ([], 0)
    assert site.object.read_bytes() == MODEL


async def test_a_disk_that_takes_no_copy_is_told(site: Site) -> None:
    site.copy.parent.parent.mkdir(parents=True)
    site.copy.parent.write_text("a file where the folder should be")
    assert not await site.models.fetch(VERSION, TOLD)
    assert "FileExistsError" in site.models.trouble(VERSION)
    site.copy.parent.unlink()
    assert await site.models.fetch(VERSION, TOLD)
