//! The engine from outside: its public interface only, with its own settle thread.

mod support;
mod threads;
mod walks;
