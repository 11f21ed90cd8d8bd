//! The parameters of simulated nodes: those of real ones, with less patience, so that a run is short.

use replication_proto::{Config, Millis};

/// Databases of each node.
pub const DATABASES: u32 = 3;

/// The machine's parameters.
#[must_use]
pub fn config() -> Config {
    Config {
        databases: DATABASES,
        connect_timeout: Millis(400),
        timeout: Millis(1200),
        reply_timeout: Millis(600),
        progress_timeout: Millis(1500),
        backoff_min: Millis(20),
        backoff_max: Millis(800),
        stable_after: Millis(1500),
        retry_limit: 12,
        retry_cooldown: Millis(2500),
        heartbeat_every: Millis(200),
        ..Config::default()
    }
}
