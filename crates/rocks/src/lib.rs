//! The store of a shard on RocksDB.
