//! What the binary does for the server, because it takes libraries that the server must not know: the allocator,
//! the store's budgets, the logger.

use crate::config::{Config, LogLevel};

/// Memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Asked of the allocator and not given back.
    pub allocated: u64,
    /// Pages with allocations.
    pub active: u64,
    /// Pages of the allocator that are in memory.
    pub resident: u64,
    /// The allocator's own data.
    pub metadata: u64,
    /// Address space the allocator keeps.
    pub retained: u64,
    /// The process, as the kernel counts it.
    pub process: u64,
}

/// How `maxmemory` is divided, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// All of it.
    pub total: u64,
    /// Hot records and rows.
    pub hot: u64,
    /// Blocks of the stores.
    pub block_cache: u64,
    /// Memtables of the stores.
    pub memtables: u64,
    /// Connections, threads, code, and what an allocator wastes.
    pub reserve: u64,
}

/// The binary.
pub trait Host: Send + Sync {
    /// How much memory is used.
    fn memory(&self) -> Memory;

    /// Name and version of the allocator, as `INFO` shows it.
    fn allocator(&self) -> String;

    /// How the configured memory is divided.
    fn split(&self, config: &Config) -> Split;

    /// Gives the stores their part of a division. The server itself tells the engine.
    fn apply_split(&self, split: &Split);

    /// Changes which messages are logged.
    fn set_log_level(&self, level: LogLevel);

    /// Gives memory that the allocator does not need back to the kernel.
    fn purge(&self);
}
