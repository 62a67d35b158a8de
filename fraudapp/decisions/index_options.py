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
WAITING: Final = WriteOptions()
"""For a process that has nothing else to do than to write an index."""
WAITING.disable_wal = True  # type: ignore[assignment, method-assign]
# Shared by all indexes of a worker. It may be small: most ids that are looked up are new.
_CACHE: Final = Cache(8 << 20)
# Each partition holds two write buffers. Larger ones take much more memory, and save hardly any
# time for each event.
_BUFFER_BYTES: Final = 4 << 20
USUAL: Final = {
    "write_buffer_size": str(_BUFFER_BYTES),
    "level0_file_num_compaction_trigger": "4",
    # As many as reading in bulk leaves would let writes wait for the first merge.
    "level0_slowdown_writes_trigger": "40",
    "level0_stop_writes_trigger": "60",
}
"""What a worker sets when it opens an index, whatever was set before: RocksDB keeps it."""
IN_BULK: Final = USUAL | {
    "write_buffer_size": str(64 << 20),
    "level0_file_num_compaction_trigger": "16",
}
"""The same for a process that only writes: more memory, and fewer merges."""
MOST_UNMERGED: Final = 24
"""Files of level 0 above which an index rests no longer, whatever else is read."""
MERGES: Final = {"disable_auto_compactions": "false"}
RESTS: Final = {"disable_auto_compactions": "true"}


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
    # After a full disk, RocksDB writes again once as much is free as this was when it was opened.
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_block_based_table_factory(table)
    # Ids are written once and read seldom, so the cost is how often compaction rewrites them.
    options.set_compaction_style(DBCompactionStyle.universal())
    # Most flushed files are soon merged into larger ones: only the lowest level is compressed.
    options.set_compression_type(DBCompressionType.none())
    options.set_bottommost_compression_type(DBCompressionType.lz4())
    return options
