//! Positions in a shard's history, and where two histories part.
