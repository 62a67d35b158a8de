"""Batches of every codec are unpacked whole, and never beyond the bound."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from typing import Any

import cramjam
import pytest
from aiokafka import codec
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka import codecs

Codec = Callable[[bytes], Any]
CODECS: dict[str, tuple[Codec, Codec]] = {
    "gzip": (codec.gzip_encode, codecs.gunzip),
    "snappy": (codec.snappy_encode, codecs.unsnappy),
    "snappy, raw": (lambda each: codec.snappy_encode(each, False), codecs.unsnappy),
    "lz4": (codec.lz4_encode, codecs.unlz4),
    "zstd": (codec.zstd_encode, codecs.unzstd),
}
every_codec = pytest.mark.parametrize(
    ("pack", "unpack"), [pytest.param(*pair, id=name) for name, pair in CODECS.items()]
)


@every_codec
@given(parts=st.lists(st.tuples(st.binary(max_size=300), st.integers(1, 3_000)), max_size=20))
def test_unpacking_restores_what_was_packed(
    pack: Codec, unpack: Codec, parts: list[tuple[bytes, int]]
) -> None:
    content = b"".join(part * times for part, times in parts)
    assert unpack(bytes(pack(content))) == content


@every_codec
def test_the_bound_is_exact(pack: Codec, unpack: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "MAX_UNPACKED_BYTES", 1_000_000)
    assert len(unpack(pack(b"x" * 1_000_000))) == 1_000_000
    with pytest.raises(codecs.TooLarge) as caught:
        unpack(pack(b"x" * 1_000_001))
    assert (b"x" * 1_000_001).startswith(bytes(caught.value.beginning))


@every_codec
@given(junk=st.binary(max_size=200), cut=st.integers(0, 60))
def test_damaged_data_raises_only_the_errors_that_readers_expect(
    pack: Codec, unpack: Codec, junk: bytes, cut: int
) -> None:
    packed = bytes(pack(b"a transaction" * 100))
    for damaged in (junk, packed[:-cut], packed[:cut] + junk):
        with contextlib.suppress(cramjam.DecompressionError, zlib.error, codecs.TooLarge):
            unpack(damaged)
