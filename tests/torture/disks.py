"""Holds the profiles and labels on workers' disks, once they have stopped, against the recount."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from rocksdict import AccessType, Options, Rdict

from tests.torture.cluster import Cluster
from tests.torture.comparing import Found
from tests.torture.labelling import Labelling
from tests.torture.remembering import Remembering
from tests.torture.values import SIDES, Bucket, Past, merged

log = logging.getLogger(__name__)

ENTRY: Final = np.dtype(
    [("time", "<u4"), ("count", "<u4"), ("sum", "<i8"), ("frauds", "<i4"), ("mark0", "<u8")]
)
"""What profiles of both sides are made of, since both have sums, frauds and one counted field."""
_LABEL: Final = b"\xff"
_COUNTED_BYTES: Final = 9


def compare_disks(
    cluster: Cluster, remembering: Remembering, labelling: Labelling, found: Found
) -> None:
    """Every worker has the profiles of all accounts, and the labels on all decisions."""
    wanted = remembering.final()
    for number, worker in enumerate(cluster.workers):
        if not (worker.data_dir / "profiles").exists():
            continue  # it has not started since all was removed
        there = dict(profiles_on_disk(worker.data_dir / "profiles"))
        wrong = [key for key in there.keys() | wanted.keys() if there.get(key) != wanted.get(key)]
        found.misremembered += [
            f"worker {number} has on disk of {key}: {there.get(key)}, expected {wanted.get(key)}"
            for key in wrong
        ]
        _compare_labels(number, worker.data_dir / "labelled", labelling, found)
        log.info("worker %d has %d profiles on disk, %d wrong", number, len(there), len(wrong))


def _compare_labels(number: int, folder: Path, labelling: Labelling, found: Found) -> None:
    wanted = {id_: (each["version"], each["label"]) for id_, each in labelling.joined.items()}
    there = {
        key.decode(): (int.from_bytes(value[:8], "big"), value[8])
        for key, value in _items(folder)
        if key[:1] != b"\0"
    }
    found.mislabelled += [
        f"worker {number} has label {there.get(id_)} on {id_} on disk, expected {wanted.get(id_)}"
        for id_ in (there.keys() | wanted.keys()) - labelling.unsure.keys()
        if there.get(id_) != wanted.get(id_)
    ]


def profiles_on_disk(folder: Path) -> Iterator[tuple[tuple[str, str], Past]]:
    for key, value in _items(folder):
        if b"\0" < key[:1] < _LABEL:
            yield (SIDES[key[0] - 1], key[1:].decode()), _unpacked(value)


def _unpacked(value: bytes) -> Past:
    entries = np.frombuffer(value, ENTRY)
    rows: Any = entries[1:]
    counts, sums, frauds = (np.diff(rows[name].astype(np.int64), prepend=0) for name in _RUNNING)
    buckets = zip(
        rows["time"].tolist(),
        map(Bucket, counts.tolist(), sums.tolist(), rows["mark0"].tolist(), frauds.tolist()),
        strict=True,
    )
    return Past(_without_empty(merged(buckets)), int(entries["time"][0]))


_RUNNING: Final = ("count", "sum", "frauds")
"""Columns whose totals run on from the first bucket."""


def _without_empty(buckets: Mapping[int, Bucket]) -> dict[int, Bucket]:
    return {start: each for start, each in buckets.items() if each != Bucket()}


def _items(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    options = Options(raw_mode=True)
    opened = Rdict(str(folder), options, access_type=AccessType.read_only())
    try:
        yield from cast("Iterator[tuple[bytes, bytes]]", opened.items())
    finally:
        opened.close()
