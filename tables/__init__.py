"""Tables: state kept in RocksDB and in changelog topics."""
