"""Keeps profiles on disk together with the offsets up to which the topics are folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, cast

from msgspec import Struct, msgpack
from rocksdict import Options, WriteBatch

from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.kafka.last_records import LastRecord
from fraudapp.labels.changes import COUNTED_BYTES, Counted, unpacked
from fraudapp.labels.database import Database
from fraudapp.profiles import store_options
from fraudapp.profiles.snapshot_files import adopt

# Keys of profiles begin with the number of a side, from 1 on.
STATE: Final = b"\x00state"
"""The key of the state, which `decode_state` reads."""
_LABEL: Final = b"\xff"
"""Before the id of a transaction: the label that counts of it."""
_SECOND_BYTES: Final = 8
SIDES: Final = b"\x01"
"""Where the keys of profiles begin, which those of labels follow."""


class State(Struct, array_like=True):
    """What the profiles are made of."""

    profile_version: str
    decisions: dict[int, int]
    """Next offset of each partition of the log."""
    labelled: dict[int, int]
    """Offset from which on each partition of the labelled topic has to be read."""
    last_decisions: dict[int, LastRecord] = {}
    """The last record of each partition of the log that was read."""
    last_labelled: dict[int, LastRecord] = {}
    """The last record of each partition of the labelled topic that was read."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read yet."""
        return not any(self.decisions.values()) and not any(self.labelled.values())


class KeptLabel(NamedTuple):
    """The label that counts of a transaction, and the second of its decision, since 1970."""

    counted: Counted
    second: int

    def packed(self) -> bytes:
        """Return it as bytes, for `label_second` and `fraudapp.labels.changes.unpacked`."""
        return self.counted.packed() + max(0, self.second).to_bytes(_SECOND_BYTES, "big")


class Entry(NamedTuple):
    """A profile or a label, as it is on disk."""

    key: bytes
    value: bytes

    @property
    def side(self) -> int | None:
        """The number of the profile's side, from 0 on; None for a label."""
        return None if self.key[:1] == _LABEL else self.key[0] - 1

    @property
    def second(self) -> int:
        """When the last transaction of the profile, or that of the label, was decided on."""
        if self.side is None:
            return int.from_bytes(self.value[COUNTED_BYTES:], "big")
        return int.from_bytes(self.value[:4], "little")  # see `models.profiles.packing`


decode_state: Final = msgpack.Decoder(State).decode
_encode: Final = msgpack.Encoder().encode


class ProfileStore(Database):
    """Profiles by key, and the label that counts of each labelled transaction."""

    state: State
    """As of the last write."""

    def __init__(
        self,
        folder: Path,
        version: str,
        made_of: Sequence[LogIdentity],
        *,
        files: int = -1,
    ) -> None:
        """Open the profiles of a schema's `version`; raises what opening a `Database` does."""
        self.version = version
        super().__init__(folder, made_of, files=files)

    @property
    def made_of(self) -> Sequence[LogIdentity]:
        """The topics that the profiles follow from."""
        return self._made_of

    def _options(self, files: int) -> Options:
        return store_options.options(files)

    def _load(self) -> None:
        (content,) = self._get([STATE])
        self.state = State(self.version, {}, {}) if content is None else decode_state(content)
        if self.state.profile_version != self.version:
            raise ValueError(
                f"its profiles are of {self.state.profile_version}, and the schema has "
                f"{self.version}"
            )

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return profiles by their keys, None where there is none."""
        with self._errors():
            return self._get(keys)

    def counted(self, ids: Sequence[str]) -> dict[str, Counted]:
        """Return the labels that count; an id without one is left out."""
        with self._errors():
            found = self._get([_LABEL + each.encode() for each in ids])
            return {
                id_: unpacked(value)
                for id_, value in zip(ids, found, strict=True)
                if value is not None
            }

    def write(
        self, profiles: Mapping[bytes, bytes], labels: Mapping[str, KeptLabel], state: State
    ) -> None:
        """Write all of it, or nothing."""
        batch = WriteBatch(raw_mode=True)
        for key, profile in profiles.items():
            batch.put(key, profile)
        for id_, label in labels.items():
            batch.put(_LABEL + id_.encode(), label.packed())
        batch.put(STATE, _encode(state))
        self._write(batch)
        self.state = state

    def tidy(self, removed: Sequence[bytes], profiles: Mapping[bytes, bytes]) -> None:
        """Remove profiles and labels, by their keys on disk, and write profiles that read alike."""
        if not removed and not profiles:
            return
        batch = WriteBatch(raw_mode=True)
        for key in removed:
            batch.delete(key)
        for key, profile in profiles.items():
            batch.put(key, profile)
        self._write(batch)

    def entries(self, begin: bytes, count: int) -> list[Entry]:
        """Return so many profiles and labels in the order of their keys, from one key on."""
        with self._errors():
            found = cast("Iterator[tuple[bytes, bytes]]", self._db.items(from_key=begin))
            try:
                return [Entry(*each) for each in islice(found, count)]
            finally:
                del found  # an error would keep it, and it keeps the database open

    def reopen(self) -> None:
        """Close and open it, which RocksDB needs after some errors; raises like the constructor."""
        self.close()
        self._open()

    def replace(self, files: Path) -> None:
        """Be what a folder within that of the store holds, and keep it; raises like `reopen`.

        The folder is gone then.
        """
        with suppress(Exception):  # nothing of it is kept
            self._db.close()
        adopt(self.folder, files)
        self._open()

    @property
    def kept(self) -> int:
        """How many profiles and labels there are, about."""
        return self._number("rocksdb.estimate-num-keys")

    @property
    def disk_bytes(self) -> int:
        """The size of the files on disk."""
        return self._number("rocksdb.total-sst-files-size")

    @property
    def is_flushing(self) -> bool:
        """Whether RocksDB writes a buffer to disk now."""
        return bool(self._number("rocksdb.num-immutable-mem-table"))

    def _number(self, name: str) -> int:
        try:
            return self._db.property_int_value(name) or 0
        except Exception:  # a closed one has none, and rocksdict raises nothing more precise
            return 0
