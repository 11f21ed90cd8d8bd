//! What an operator has set: [`Settings`].

use std::time::Duration;

use replication_proto::Config;

/// The parameters of the replica's side. They may change while it works; what is under way keeps the old ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Those of the state machine.
    pub machine: Config,
    /// User for the primary; empty is the default user.
    pub user: String,
    /// Password for the primary; empty sends none.
    pub password: String,
    /// The address that the primary is told; empty is the one it sees.
    pub announce_ip: String,
    /// The port that the primary is told.
    pub announce_port: u16,
    /// Bytes a second that full syncs together may fetch; 0 is no limit.
    pub rate: u64,
    /// Whether what was applied is synced at once (`appendfsync always`), not when the log's own time has come.
    pub sync: Sync,
}

/// When a replica's log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// With every batch that was applied.
    AtOnce,
    /// As the log's policy has it.
    Later,
}

impl Settings {
    /// How long connecting and the first words may take.
    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.machine.connect_timeout.0)
    }

    /// What the primary is to know us by.
    pub(super) fn credentials(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// How long a link may be silent.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.machine.timeout.0)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            machine: Config::default(),
            user: String::new(),
            password: String::new(),
            announce_ip: String::new(),
            announce_port: 6379,
            rate: 0,
            sync: Sync::Later,
        }
    }
}

/// Without the password: it must not get into a log.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { machine, user, password: _, announce_ip, announce_port, rate, sync } = self;
        f.debug_struct("Settings")
            .field("machine", machine)
            .field("user", user)
            .field("announce", &(announce_ip, announce_port))
            .field("rate", rate)
            .field("sync", sync)
            .finish_non_exhaustive()
    }
}
