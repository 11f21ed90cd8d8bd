//! How this server follows another: what the configuration says about it, and which commands a replica refuses.

use commands::Command;
use commands::spec::Flags;
use replication::replica::{Admission, Settings, Sync};
use replication_proto::{Address, Config as Machine, Millis};

use crate::config::{AppendFsync, Config, PrimaryAddress};

/// Both sides of a link speak each second; a link must not be given up because one word was late.
pub(crate) const LEAST_TIMEOUT: u32 = 3;

/// Redis's refusals.
const READ_ONLY: &str = "READONLY You can't write against a read only replica.";
const MASTER_DOWN: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
/// What a database answers whose data is not whole.
pub(crate) const LOADING: &str = "LOADING Redis is loading the dataset in memory";

/// What the configuration says about following.
pub(crate) fn settings(config: &Config) -> Settings {
    let millis = |millis: u32| Millis(millis.into());
    let seconds = |seconds: u32| Millis::seconds(seconds.into());
    let machine = Machine {
        databases: config.databases,
        connect_timeout: seconds(config.repl_connect_timeout),
        timeout: seconds(config.repl_timeout.max(LEAST_TIMEOUT)),
        reply_timeout: seconds(config.repl_reply_timeout),
        progress_timeout: seconds(config.repl_progress_timeout),
        backoff_min: millis(config.repl_backoff_min),
        backoff_max: millis(config.repl_backoff_max.max(config.repl_backoff_min)),
        stable_after: seconds(config.repl_stable_after),
        retry_limit: config.repl_retry_limit,
        retry_cooldown: seconds(config.repl_retry_cooldown),
        max_parallel_syncs: config.repl_max_parallel_syncs,
        ..Machine::default()
    };
    let port = if config.replica_announce_port == 0 { config.port } else { config.replica_announce_port };
    Settings {
        machine,
        user: config.masteruser.clone(),
        password: config.masterauth.clone(),
        announce_ip: config.replica_announce_ip.clone(),
        announce_port: port,
        rate: config.repl_fullsync_rate,
        sync: match config.appendfsync {
            AppendFsync::Always => Sync::AtOnce,
            AppendFsync::Everysec | AppendFsync::No => Sync::Later,
        },
    }
}

/// The parameters that `settings` reads and that may change while the server runs.
pub(crate) const PARAMETERS: &[&str] = &[
    "masteruser",
    "masterauth",
    "replica-announce-ip",
    "replica-announce-port",
    "appendfsync",
    "repl-connect-timeout",
    "repl-timeout",
    "repl-reply-timeout",
    "repl-progress-timeout",
    "repl-backoff-min",
    "repl-backoff-max",
    "repl-stable-after",
    "repl-retry-limit",
    "repl-retry-cooldown",
    "repl-max-parallel-syncs",
    "repl-fullsync-rate",
];

/// The primary that the configuration names.
#[must_use]
pub fn configured(config: &Config) -> Option<Address> {
    config.replicaof.as_ref().map(|primary| Address { host: primary.host.clone(), port: primary.port })
}

/// The same as a value of the configuration.
pub(crate) fn as_configured(address: Option<Address>) -> Option<PrimaryAddress> {
    address.map(|Address { host, port }| PrimaryAddress { host, port })
}

/// Why a command is refused by a server that is not a primary, if it is.
#[cold]
pub(crate) fn refusal(admission: Admission, config: &Config, command: &Command) -> Option<&'static str> {
    let flags = command.spec.flags;
    match admission {
        Admission::Primary => None,
        Admission::Replica | Admission::Cut if flags.has(Flags::WRITE) => Some(READ_ONLY),
        Admission::Replica => None,
        Admission::Cut => (!config.replica_serve_stale_data && !flags.has(Flags::STALE)).then_some(MASTER_DOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(admission: Admission, config: &Config, name: &str) -> Option<&'static str> {
        refusal(admission, config, commands::lookup(name.as_bytes()).unwrap())
    }

    #[test]
    fn a_replica_refuses_writes_and_perhaps_stale_reads() {
        let mut config = Config::default();
        for name in ["get", "set", "info", "ping"] {
            assert_eq!(refused(Admission::Primary, &config, name), None);
        }
        for admission in [Admission::Replica, Admission::Cut] {
            assert_eq!(refused(admission, &config, "set"), Some(READ_ONLY));
            assert_eq!(refused(admission, &config, "get"), None);
        }
        config.replica_serve_stale_data = false;
        assert_eq!(refused(Admission::Replica, &config, "get"), None);
        assert_eq!(refused(Admission::Cut, &config, "get"), Some(MASTER_DOWN));
        assert_eq!(refused(Admission::Cut, &config, "set"), Some(READ_ONLY));
        assert_eq!(refused(Admission::Cut, &config, "info"), None, "Sentinel asks while the link is down");
        assert_eq!(refused(Admission::Cut, &config, "replicaof"), None);
    }

    #[test]
    fn every_live_parameter_that_is_read_is_listed() {
        let config = Config::default();
        for name in PARAMETERS {
            let (parameter, _) = crate::config::Parameter::find(name).unwrap();
            assert_eq!(parameter.change, crate::config::Change::Live, "{name}");
        }
        assert_eq!(settings(&config).machine, Machine::default(), "both tables have the same defaults");
    }
}
