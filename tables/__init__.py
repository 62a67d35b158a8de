"""Tables: state kept in RocksDB and in changelog topics."""

__part_of__ = "fraudapp"
