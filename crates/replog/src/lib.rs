//! The replication log of a shard: frames in segment files.
