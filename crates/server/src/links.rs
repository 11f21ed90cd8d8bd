//! How this server is a node among nodes: what its replicas ask of it, and sessions that become links.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use replication::primary::{Client, Durable, Settings};

use crate::client::{ClientInfo, Place};
use crate::config::Config;
use crate::shared::clock;

/// What the configuration says about links.
pub(crate) fn settings(config: &Config) -> Settings {
    Settings {
        timeout: Duration::from_secs(config.repl_timeout.into()),
        max_lag: Duration::from_secs(config.min_replicas_max_lag.into()),
        retain_max: config.repl_log_retain_max,
        max_syncs: config.repl_max_parallel_syncs as usize,
        durable: if config.repl_sync_replicas > 0 { Durable::AtOnce } else { Durable::AsTheyPlease },
    }
}

/// A client whose connection is a link now.
pub(crate) struct LinkClient {
    pub info: Arc<ClientInfo>,
    /// Given back when the link ends.
    pub _place: Place,
}

impl Client for LinkClient {
    fn id(&self) -> u64 {
        self.info.id
    }

    fn poll_killed(&self, waker: &Waker) -> Poll<()> {
        self.info.watch_link(waker);
        match self.info.killed() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    fn heard(&self) {
        self.info.last_active.store(clock().0, Ordering::Relaxed);
    }
}
