"""Parquet files: which columns they have, also within others, and their rows, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from models.characters import legible
from models.files.lines import UnreadableFile, shown
from models.files.typed import Unreadable
from models.schema.paths import Path as Place
from models.schema.paths import Step

BATCH_ROWS: Final = 4_096
"""Rows that are in memory at a time."""
BUFFER_BYTES: Final = 1 << 18
"""Bytes of a column that are read at a time; without, all of a row group are."""
_SUFFIXES: Final = (".parquet", ".pq")
_ENCRYPTED: Final = b"PARE"
"""What a file with an encrypted footer begins with."""


def is_parquet(path: Path) -> bool:
    """Whether a file holds Parquet, by its name."""
    return path.suffix.lower() in _SUFFIXES


class Leaf(NamedTuple):
    """A place in the columns where values are, and whether they can be read."""

    path: Place
    kind: Any
    """The type that Arrow has for it."""

    @property
    def problem(self) -> str | None:
        """Return why its values are not read; None if they are."""
        from pyarrow import types

        kind = self.kind.value_type if types.is_dictionary(self.kind) else self.kind
        known = (
            "string large_string string_view integer floating boolean decimal timestamp date null"
        )
        if any(getattr(types, f"is_{each}")(kind) for each in known.split()):
            return None
        return f"has Parquet's type {kind}, which is not read: write it as text or numbers"


class Parquet:
    """An open file."""

    def __init__(self, path: Path, file: Any) -> None:
        """`file` is a `pyarrow.parquet.ParquetFile`."""
        self.path = path
        self._file = file
        self.columns: Sequence[str] = file.schema_arrow.names
        self.leaves = [
            leaf
            for column in file.schema_arrow
            for leaf in _leaves((Step(column.name),), column.type)
        ]

    def records(self, columns: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield these columns of each row; raises `UnreadableFile` where the file is damaged.

        A value that Python cannot have is an `Unreadable`.
        """
        names, done = [*columns], 0
        with _sentences(self.path, lambda: f", behind row {done}"):
            for batch in self._file.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
                lists = [_values(batch.column(name)) for name in names]
                for row in range(batch.num_rows):
                    yield {name: each[row] for name, each in zip(names, lists, strict=True)}
                done += batch.num_rows


@contextmanager
def opened(path: Path) -> Iterator[Parquet]:
    """Open a file; raises `UnreadableFile`, also if there is no pyarrow to read it by."""
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as exc:
        raise UnreadableFile(
            f"{shown(path)} is Parquet, which needs pyarrow; pip install 'fraudapp[parquet]'"
        ) from exc
    with ExitStack() as stack:
        with _sentences(path, lambda: ""):
            raw = stack.enter_context(path.open("rb"))
            if not raw.seekable():
                raise UnreadableFile(f"{shown(path)} is a stream: Parquet is read from files only")
            if raw.read(len(_ENCRYPTED)) == _ENCRYPTED:
                raise UnreadableFile(f"{shown(path)} is encrypted: write it without encryption")
            file = ParquetFile(raw, pre_buffer=False, buffer_size=BUFFER_BYTES)
            found = Parquet(path, file)
        yield found


@contextmanager
def _sentences(path: Path, where: Callable[[], str]) -> Iterator[None]:
    """Turn what Arrow and the system raise into `UnreadableFile`; `where` says how far it went."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as exc:
        if isinstance(exc, OSError) and exc.strerror:
            raise UnreadableFile(f"{shown(path)} cannot be read: {exc.strerror}") from exc
        why = legible(str(exc).partition("\n")[0])
        what = "is encrypted" if "crypt" in why else "is no Parquet, or it is damaged or cut off"
        raise UnreadableFile(f"{shown(path)}{where()}: {what} ({why})") from exc


def _leaves(path: Place, kind: Any) -> Iterator[Leaf]:
    """Yield the places of values within a type: in objects, and in arrays that have one item."""
    from pyarrow import types

    if types.is_struct(kind):
        for number in range(kind.num_fields):
            field = kind.field(number)
            yield from _leaves((*path, Step(field.name)), field.type)
    elif (types.is_list(kind) or types.is_large_list(kind)) and not path[-1].only_item:
        yield from _leaves((*path[:-1], Step(path[-1].key, only_item=True)), kind.value_type)
    else:
        yield Leaf(path, kind)


def _values(column: Any) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError, KeyError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return Unreadable("is not UTF-8")
    except (ValueError, OverflowError, KeyError) as exc:
        return Unreadable(f"cannot be read: {exc}")
