"""A table starts with the values of its changelog, however damaged its files are."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import cast

import faust
import pytest
from faust.stores.rocksdb import Store
from faust.types import TP
from rocksdict import Options, Rdict

from tables.repair import repair
from tests.support.damage import FILES, WAYS, damage

CHANGELOG = "app-blocks-changelog"
ROWS = {b"%d" % number: b'{"n": %d}' % number for number in range(500)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The files of a table, made by Faust; partition 0 holds rows up to offset 499."""
    app = faust.App("app", datadir=tmp_path, store="rocksdb://?driver=rocksdict")
    store = cast(Store, app.Table("blocks", key_type=int).data)
    store.path.mkdir(parents=True, exist_ok=True)
    database = store._db_for_partition(0)
    for key, value in ROWS.items():
        database.put(key, value)
    database.flush()
    store.set_persisted_offset(TP(CHANGELOG, 0), 499)
    database.flush()
    del database
    close(store)
    return store


def close(store: Store) -> None:
    """Close the files of the store, as Faust does."""
    store._dbs.clear()
    gc.collect()


def check(partition: int, key: bytes, value: bytes) -> None:
    assert partition == 0
    assert value == ROWS[key]


async def repaired(store: Store) -> None:
    await repair(store, [TP(CHANGELOG, 0)], {TP(CHANGELOG, 0): 500}, check)


def rows(store: Store) -> dict[bytes, bytes]:
    return dict(store._visible_items(store._db_for_partition(0)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
async def test_a_damaged_partition_is_removed(
    store: Store, kind: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(store.partition_path(0), kind, way)
    await repaired(store)
    offset = store.persisted_offset(TP(CHANGELOG, 0))
    assert rows(store) == ROWS or (offset is None and rows(store).items() <= ROWS.items())
    if not rows(store):
        assert "blocks-0.db is damaged" in caplog.text or kind == "MANIFEST-*"
    close(store)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (Store.offset_key, b""),
        (Store.offset_key, b"x"),
        (b"7", b"\xff{"),
        (b"7", b""),
        (b"{", b"1"),
    ],
)
async def test_an_entry_that_does_not_decode_is_damage(
    store: Store, key: bytes, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    database = Rdict(str(store.partition_path(0)), Options(raw_mode=True))
    database.put(key, value)
    database.close()
    await repaired(store)
    assert rows(store) == {}
    assert caplog.text.count("blocks-0.db is damaged") == 1
    close(store)


async def test_a_file_in_place_of_a_partition_is_removed(store: Store) -> None:
    path = store.partition_path(1)
    path.write_bytes(b"no folder")
    await repair(store, [TP(CHANGELOG, 1)], {}, check)
    assert store.persisted_offset(TP(CHANGELOG, 1)) is None
    close(store)


async def test_a_partition_open_in_another_process_is_left_alone(store: Store) -> None:
    path = store.partition_path(0)
    code = (
        "import sys; from rocksdict import *; held = Rdict(sys.argv[1], Options(raw_mode=True));"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        damage(path, "CURRENT", "garbled")
        before = {each.name for each in path.glob("*.sst")}
        await repaired(store)
        assert {each.name for each in path.glob("*.sst")} == before
        process.communicate()
    await repaired(store)
    assert rows(store) == {}
    close(store)


async def test_a_partition_with_a_foreign_entry_is_removed(store: Store) -> None:
    store._db_for_partition(0).put(b"9999", b"{}")
    close(store)
    await repaired(store)
    assert rows(store) == {}
