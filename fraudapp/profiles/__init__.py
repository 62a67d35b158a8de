"""Profiles on this worker: kept in RocksDB, folded from the log, and read by decisions."""
