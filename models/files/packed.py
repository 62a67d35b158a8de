"""Decompresses files: of several concatenated streams, as `pbzip2` makes them, and zip archives."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
from collections.abc import Callable
from typing import IO, Any, cast

from models.errors import Rejected

BLOCK = 1 << 17
PADDING = 4
"""NUL bytes that may follow a stream of xz: so many, or a multiple of it."""


class Unpackable(Rejected, ValueError):
    """A packed file of a kind that is not read; the message says what to do."""


class Packed(io.RawIOBase):
    """Reads all streams; the files of `bz2` and `lzma` take a damaged stream for the file's end.

    Reading raises what the decompressor does: `EOFError`, `OSError` or `lzma.LZMAError`.
    """

    def __init__(
        self, packed: IO[bytes], begin: Callable[[], Any], *, padded: bool = False
    ) -> None:
        self._packed = packed
        self._begin = begin
        self._padded = padded
        self._stream = begin()

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        unpacked = b""
        while not unpacked:
            block = self._next_stream() if self._stream.eof else self._more()
            if block is None:
                return 0
            unpacked = self._stream.decompress(block, len(buffer))
        buffer[: len(unpacked)] = unpacked
        return len(unpacked)

    def _more(self) -> bytes:
        if not self._stream.needs_input:
            return b""
        block = self._packed.read(BLOCK)
        if not block:
            raise EOFError("it ends within a stream")
        return block

    def _next_stream(self) -> bytes | None:
        """Begin the next stream and return its first bytes; None at the end of the file."""
        block, padding = self._stream.unused_data or self._packed.read(BLOCK), 0
        while self._padded and block:
            rest = block.lstrip(b"\0")
            padding += len(block) - len(rest)
            if rest:
                block = rest
                break
            block = self._packed.read(BLOCK)
        if padding % PADDING:
            raise lzma.LZMAError("there are other bytes behind a stream")
        if not block:
            return None
        self._stream = self._begin()
        return block


def unbz2(packed: IO[bytes]) -> io.BufferedReader:
    """Open the content of a bzip2 file."""
    return io.BufferedReader(Packed(packed, bz2.BZ2Decompressor))


def unxz(packed: IO[bytes]) -> io.BufferedReader:
    """Open the content of an xz file."""
    begin = lzma.LZMADecompressor
    return io.BufferedReader(Packed(packed, lambda: begin(lzma.FORMAT_XZ), padded=True))


def unzip(packed: IO[bytes]) -> io.BufferedReader:
    """Open the only file of a zip archive; raises `Unpackable` if that is not what it is."""
    if not packed.seekable():
        raise Unpackable("is a zip archive, which is not read as a stream: unpack it")
    archive = zipfile.ZipFile(packed)
    files = [each for each in archive.infolist() if not each.is_dir()]
    if len(files) != 1:
        raise Unpackable(
            "is a spreadsheet, or a zip archive that does not hold exactly one file: "
            "save it as CSV, or unpack it"
        )
    try:
        return io.BufferedReader(cast("io.RawIOBase", archive.open(files[0])))
    except (RuntimeError, NotImplementedError) as exc:
        raise Unpackable(
            f"is a zip archive that cannot be unpacked here ({exc}): unpack it"
        ) from exc
