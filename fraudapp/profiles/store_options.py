"""How RocksDB is set for profiles: many small values, which are rewritten and read again."""

from __future__ import annotations

from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
)

WRITE_BUFFER_BYTES: Final = 4 << 20
_FILE_BYTES: Final = 8 << 20
_LEVEL_BYTES: Final = 16 << 20
_BLOCK_BYTES: Final = 8 << 10
# Of profiles that are read again soon, those in memory are the cache: see `ProfileMemory`.
_CACHE: Final = Cache(8 << 20)


def options(files: int) -> Options:
    """Return options of a store that keeps at most so many `files` open; -1 means all."""
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)  # each level but one is passed over by it
    table.set_block_cache(_CACHE)
    table.set_block_size(_BLOCK_BYTES)
    table.set_index_block_restart_interval(16)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(files)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_block_based_table_factory(table)
    options.set_compaction_style(DBCompactionStyle.level())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_bytes_for_level_base(_LEVEL_BYTES)
    options.set_target_file_size_base(_FILE_BYTES)
    options.set_compression_type(DBCompressionType.none())
    options.set_bottommost_compression_type(DBCompressionType.lz4())
    return options
