//! The one write path of a shard: hot records, commit, settle, recovery, snapshots.
