//! What several crates' tests share: a plain model of the key space.
