//! What the configuration means to a session, worked out once for each change of it.

use std::sync::Arc;
use std::time::Duration;

use commands::{Eviction, Settings};
use resp::{Limits, Trust};

use crate::config::{AppendFsync, Config, OutputLimit};
use crate::gate::Durability;

/// The configuration as sessions use it.
#[derive(Debug)]
pub(crate) struct Rules {
    pub config: Arc<Config>,
    /// For commands.
    pub settings: Settings,
    /// When a reply may leave.
    pub durability: Durability,
    /// How many replicas must confirm a write before its reply may leave; 0: none.
    pub sync_replicas: usize,
    /// How long such a reply waits.
    pub sync_timeout: Duration,
    /// From how many nanoseconds on a command is slow.
    pub slow_nanos: u64,
    /// Bytes a client may have sent without their being a command.
    pub input_limit: usize,
    max_bulk_len: usize,
}

impl Rules {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let eviction = if config.maxmemory_policy.ends_with("-lfu") { Eviction::Lfu } else { Eviction::Other };
        let durability = match config.appendfsync {
            AppendFsync::Always => Durability::Synced,
            AppendFsync::Everysec | AppendFsync::No => Durability::Written,
        };
        let slow_nanos = u64::try_from(config.slowlog_log_slower_than).map_or(u64::MAX, |us| us.saturating_mul(1000));
        Self {
            settings: Settings { proto_max_bulk_len: config.proto_max_bulk_len, eviction },
            durability,
            sync_replicas: config.repl_sync_replicas as usize,
            sync_timeout: Duration::from_millis(config.repl_sync_timeout.into()),
            slow_nanos,
            input_limit: size(config.client_query_buffer_limit),
            max_bulk_len: size(config.proto_max_bulk_len),
            config,
        }
    }

    /// The bounds on the requests of a client.
    pub(crate) fn limits(&self, trust: Trust) -> Limits {
        Limits { max_bulk_len: self.max_bulk_len, trust, ..Limits::default() }
    }

    /// How much unsent output a client may have.
    pub(crate) fn output_limit(&self) -> OutputLimit {
        self.config.client_output_buffer_limit.normal
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
