"""Lines of text files: decompresses them, and heeds byte order marks."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import lzma
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

import cramjam

from models.characters import legible
from models.errors import Rejected
from models.files.packed import Unpackable, unbz2, unxz, unzip

STDIN: Final = Path("-")
"""The path that stands for standard input."""
MAX_LINE_CHARACTERS: Final = 4 << 20
"""Characters of a line. A longer line is no transaction, and is not held in memory."""

_UNPACK: Final[dict[bytes, Callable[[Any], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": unbz2,
    b"\xfd7zXZ\0": unxz,
    b"\x28\xb5\x2f\xfd": lambda packed: _unzstd(packed),
    b"PK\x03\x04": unzip,
}
_NO_TEXT: Final = {
    b"\xd0\xcf\x11\xe0": "a spreadsheet: save it as CSV",
    b"PAR1": "Parquet: give it as a file, not packed, whose name ends with .parquet",
    b"Obj\x01": "Avro: write it as CSV or JSON lines",
    b"\x04\x22\x4d\x18": "packed by lz4: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
}
_MARKS: Final = {  # the order matters: one mark begins with another
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_TAR: Final = slice(257, 262)
"""Where a tar archive says that it is one."""
_DAMAGED: Final = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    cramjam.DecompressionError,
    zipfile.BadZipFile,
)


class UnreadableFile(Rejected, ValueError):
    """A file cannot be read, or from some line on; the message says which, why and what to do."""


class Line(NamedTuple):
    """A line as it is in the file, with its line break."""

    number: int
    """From 1."""
    text: str
    """At most `MAX_LINE_CHARACTERS`; bytes that are not UTF-8 become lone surrogates."""

    @property
    def cut(self) -> bool:
        """Whether the line was longer."""
        return len(self.text) >= MAX_LINE_CHARACTERS


def shown(path: Path) -> str:
    """Return the name of a file in messages."""
    return "standard input" if path == STDIN else legible(str(path))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, without decompressing them; raises `OSError`."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines; raises `UnreadableFile` at the first that cannot be read.

    The encoding is UTF-8, or the one that a byte order mark names. Decompresses gzip, bzip2, xz,
    Zstandard, and the only file of a zip archive, which are recognised by their first bytes, not by
    the name of the file.
    """
    number = 0
    try:
        with ExitStack() as stack:
            text = _text(path, stack)
            while line := text.readline(MAX_LINE_CHARACTERS):
                number += 1
                yield Line(number, line)
                while len(line) >= MAX_LINE_CHARACTERS and not line.endswith("\n"):
                    line = text.readline(MAX_LINE_CHARACTERS)
    except UnicodeDecodeError as exc:
        raise UnreadableFile(
            f"{shown(path)}, line {number + 1}: is not {exc.encoding.upper()}, as the beginning of "
            "the file says; the rest is not read. Save it as UTF-8"
        ) from exc
    except Unpackable as exc:
        raise UnreadableFile(f"{shown(path)} {exc}") from exc
    except _DAMAGED as exc:
        why = (isinstance(exc, OSError) and exc.strerror) or ""
        if not number and why:
            raise UnreadableFile(f"{shown(path)} cannot be read: {why}") from exc
        raise UnreadableFile(
            f"{shown(path)}, line {number + 1}: the file is damaged or cut off "
            f"({why or legible(str(exc))}); the rest is not read"
        ) from exc


def _text(path: Path, stack: ExitStack) -> io.TextIOWrapper:
    raw = _unpacked(_opened(path, stack), stack)
    beginning = raw.peek(8)
    for begins, what in _NO_TEXT.items():
        if beginning.startswith(begins):
            raise UnreadableFile(f"{shown(path)} is {what}")
    if raw.peek(_TAR.stop)[_TAR] == b"ustar":
        raise UnreadableFile(f"{shown(path)} is a tar archive: unpack it")
    encoding = next((_MARKS[mark] for mark in _MARKS if beginning.startswith(mark)), "utf-8")
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(raw, encoding, errors=errors, newline="")
    stack.callback(text.detach)  # otherwise it would close `raw`
    return text


def _opened(path: Path, stack: ExitStack) -> Any:
    if path != STDIN:
        return stack.enter_context(path.open("rb"))
    raw = io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer))
    stack.callback(raw.detach)
    return raw


def _unpacked(raw: Any, stack: ExitStack) -> Any:
    for begins, unpack in _UNPACK.items():
        if raw.peek(len(begins)).startswith(begins):
            return stack.enter_context(unpack(raw))
    return raw


def _unzstd(packed: IO[bytes]) -> IO[bytes]:
    unpacked = tempfile.NamedTemporaryFile()  # noqa: SIM115 - entered by the caller
    cramjam.zstd.decompress_into(packed.read(), cramjam.File(unpacked.name))
    return unpacked
