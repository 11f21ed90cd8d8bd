//! The engine from outside: its public interface only, with its own settle thread.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;
mod threads;
mod walks;
