//! What several crates' tests share: a plain model of the key space.

mod memory_view;

pub use memory_view::{LoggedOp, MemoryView};
