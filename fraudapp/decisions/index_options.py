"""How RocksDB is set for a decision index: little memory, ids written once and seldom read."""

from __future__ import annotations

from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
    WriteOptions,
)

# RocksDB needs no write-ahead log, since the decision log is one. After a crash, the write buffers
# that were not on disk are read from it again. A batch is on disk as a whole or not at all.
NO_WAL: Final = WriteOptions()
NO_WAL.disable_wal = True  # type: ignore[assignment, method-assign]
# Else a write would block the event loop until the disk has room, or compaction has caught up.
NO_WAL.no_slowdown = True
IN_BULK: Final = WriteOptions()
"""For a process that has nothing else to do than to write an index."""
IN_BULK.disable_wal = True  # type: ignore[assignment, method-assign]
# Shared by all indexes of a worker. It may be small: most ids that are looked up are new.
_CACHE: Final = Cache(8 << 20)
_BULK_BUFFER_BYTES: Final = 64 << 20
_BULK_BLOOM: Final = 0.02
"""Share of a write buffer for the filter of its ids: some 14 bits for each."""
_BULK_FILES: Final = 16
"""Files of level 0 that are merged then; at twenty RocksDB would let the worker's writes wait."""


def options(files: int) -> Options:
    """Return options of an index that keeps at most so many `files` open; -1 means all."""
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)  # most ids that are looked up are new
    table.set_block_cache(_CACHE)
    # RocksDB holds the index of its blocks in memory, beside the filter. Larger blocks and fewer
    # restart points make both take far less memory, and the defaults are no quicker.
    table.set_block_size(32 << 10)
    table.set_index_block_restart_interval(16)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(files)
    # Each partition holds two write buffers. Larger ones take much more memory, and save hardly
    # any time for each event.
    options.set_write_buffer_size(4 << 20)
    options.set_block_based_table_factory(table)
    # Ids are written once and read seldom, so the cost is how often compaction rewrites them.
    options.set_compaction_style(DBCompactionStyle.universal())
    # Most flushed files are soon merged into larger ones: only the lowest level is compressed.
    options.set_compression_type(DBCompressionType.none())
    options.set_bottommost_compression_type(DBCompressionType.lz4())
    return options


def options_in_bulk(files: int) -> Options:
    """Return options of an index that is written from its beginning, by a process of its own.

    It takes more memory. Files are merged less often while it is written than afterwards: what is
    left to merge does not keep the worker waiting.
    """
    found = options(files)
    found.set_write_buffer_size(_BULK_BUFFER_BYTES)
    found.set_level_zero_file_num_compaction_trigger(_BULK_FILES)
    found.set_memtable_prefix_bloom_ratio(_BULK_BLOOM)  # else ids are looked for in large buffers
    found.set_memtable_whole_key_filtering(True)
    return found
