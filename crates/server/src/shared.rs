//! Everything that the threads of a server share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use engine::Instance;
use keyspace::Millis;
use parking_lot::Mutex;
use replication::primary::{Node, Primary};
use replication::replica::{EngineData, Prepared, Replica};
use replication_proto::RunId;

use crate::client::Clients;
use crate::code::{AttackLog, FaultLog};
use crate::config::{Config, Settings, words};
use crate::following;
use crate::host::{Host, Split};
use crate::links;
use crate::pause::Pause;
use crate::saves::Saves;
use crate::shutdown::Shutdown;
use crate::slowlog::SlowLog;
use crate::stats::Stats;
use crate::waiting::Waiting;

/// What threads share.
pub struct Shared {
    /// The databases.
    pub instance: Arc<Instance>,
    /// The configuration in force. Changed by [`Shared::configure`] only.
    pub config: Arc<ArcSwap<Config>>,
    /// The configuration file, absolute, if there is one.
    pub config_file: Option<PathBuf>,
    /// Those who follow this node.
    pub primary: Arc<Primary>,
    /// Whom this node follows, and its role.
    pub replica: Arc<Replica>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// Counters.
    pub stats: Stats,
    /// Commands that took long.
    pub slowlog: SlowLog,
    /// `BGSAVE` and the like.
    pub saves: Saves,
    /// Clients in blocking commands.
    pub waiting: Waiting,
    /// Commands that are held back.
    pub pause: Pause,
    /// The wish to end.
    pub shutdown: Shutdown,
    /// The binary.
    pub host: Arc<dyn Host>,
    /// When the server started.
    pub started: Instant,
    /// The same, by the clock.
    pub started_at: Millis,
    /// 40 hexadecimal digits, others at each start.
    pub run_id: String,
    /// The addresses that are listened on; set once the listeners are open.
    pub addresses: OnceLock<Vec<SocketAddr>>,
    /// How many workers there are.
    pub workers: usize,
    /// How many desk threads there are.
    pub desk_threads: usize,
    /// The present division of memory.
    pub split: ArcSwap<Split>,
    /// Faults that commands met, for the log.
    pub(crate) faults: FaultLog,
    /// Requests of HTTP, for the log.
    pub(crate) attacks: AttackLog,
    /// Held while the configuration is changed, so that changes do not overtake each other.
    changing: Mutex<()>,
}

pub use engine::instance::system_clock as clock;

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        prepared: Prepared,
        instance: Arc<Instance>,
        host: Arc<dyn Host>,
        counts: (usize, usize),
    ) -> Result<Self, String> {
        let (workers, desk_threads) = counts;
        let started_at = clock();
        let split = host.split(&settings.config);
        let run =
            RunId(engine::entropy::bytes().map_err(|error| format!("The system has no random numbers: {error}."))?);
        let alarm_command = words(&settings.config.alarm_command)
            .map_err(|reason| format!("The parameter alarm-command is not a list of words: {reason}."))?;
        let data = Arc::new(EngineData::new(Arc::clone(&instance)));
        let following = following::settings(&settings.config);
        let mut settings = settings;
        settings.config.replicaof = following::as_configured(prepared.primary().cloned());
        let replica = Replica::open(prepared, run, following, data, alarm_command)?;
        let node = Arc::clone(&replica) as Arc<dyn Node>;
        let primary = Primary::new(Arc::clone(&instance), node, links::settings(&settings.config));
        let databases = instance.databases();
        Ok(Self {
            instance,
            primary,
            config: Arc::new(ArcSwap::from_pointee(settings.config)),
            config_file: settings.file,
            replica,
            clients: Arc::default(),
            stats: Stats::new(workers + desk_threads),
            slowlog: SlowLog::default(),
            saves: Saves::new(started_at.0 / 1000),
            waiting: Waiting::new(databases),
            pause: Pause::default(),
            shutdown: Shutdown::default(),
            host,
            started: Instant::now(),
            started_at,
            run_id: run.to_string(),
            addresses: OnceLock::new(),
            workers,
            desk_threads,
            split: ArcSwap::from_pointee(split),
            faults: FaultLog::default(),
            attacks: AttackLog::default(),
            changing: Mutex::default(),
        })
    }

    /// A start for the random numbers of a thread.
    pub(crate) fn seed(&self, thread: usize) -> u64 {
        let digits = self.run_id.get(..16).unwrap_or_default();
        let run = u64::from_str_radix(digits, 16).unwrap_or_default();
        run ^ (thread as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Changes the configuration by `change` and has the changed parameters, which `change` returns, take effect.
    ///
    /// # Errors
    /// Those of `change`; nothing has changed then.
    pub fn configure<E>(&self, change: impl FnOnce(&mut Config) -> Result<Vec<&'static str>, E>) -> Result<(), E> {
        let _changing = self.changing.lock();
        let mut config = Config::clone(&self.config.load());
        let changed = change(&mut config)?;
        for name in &changed {
            self.take_effect(name, &config);
        }
        self.config.store(Arc::new(config));
        if changed.iter().any(|name| matches!(*name, "repl-sync-replicas" | "repl-sync-timeout")) {
            // Who waits for replicas looks again.
            self.primary.replicas_changed();
        }
        Ok(())
    }

    /// Parameters that are not looked up where they are used.
    fn take_effect(&self, name: &str, config: &Config) {
        if following::PARAMETERS.contains(&name) {
            self.replica.configure(following::settings(config));
        }
        match name {
            "maxmemory" => {
                let split = self.host.split(config);
                self.host.apply_split(&split);
                self.instance.set_hot_bytes(split.hot);
                self.split.store(Arc::new(split));
            }
            "settle-interval-ms" => {
                let pause = u64::from(config.settle_interval_ms);
                self.instance.set_settle_interval(std::time::Duration::from_millis(pause));
            }
            "recovery-log-max" => self.instance.set_recovery_log_max(config.recovery_log_max),
            "log-retain-bytes" => self.instance.set_log_retain_bytes(config.log_retain_bytes),
            "repl-timeout"
            | "min-replicas-max-lag"
            | "repl-log-retain-max"
            | "repl-max-parallel-syncs"
            | "repl-sync-replicas" => {
                self.primary.configure(links::settings(config));
            }
            "loglevel" => self.host.set_log_level(config.loglevel),
            name if LIMITS.contains(&name) => self.instance.set_limits(limits(config)),
            _ => {}
        }
    }
}

/// The parameters that say when values explode.
const LIMITS: [&str; 10] = [
    "packed-max-bytes",
    "string-chunk-threshold",
    "hash-max-listpack-entries",
    "hash-max-listpack-value",
    "set-max-intset-entries",
    "set-max-listpack-entries",
    "set-max-listpack-value",
    "zset-max-listpack-entries",
    "zset-max-listpack-value",
    "list-max-listpack-size",
];

/// The configured limits of values.
#[must_use]
pub fn limits(config: &Config) -> keyspace::Limits {
    let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    let packing = |entries, value| keyspace::Packing { entries: size(entries), value: size(value) };
    keyspace::Limits {
        string_chunk_threshold: size(config.string_chunk_threshold),
        packed_max_bytes: size(config.packed_max_bytes),
        hash: packing(config.hash_max_listpack_entries, config.hash_max_listpack_value),
        set: packing(config.set_max_listpack_entries, config.set_max_listpack_value),
        intset_entries: size(config.set_max_intset_entries),
        zset: packing(config.zset_max_listpack_entries, config.zset_max_listpack_value),
        list: keyspace::ListPacking::of_parameter(config.list_max_listpack_size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_the_limits_is_one_of_them() {
        let mut config = Config::default();
        assert_eq!(limits(&config), keyspace::Limits::default());
        for name in LIMITS {
            let before = limits(&config);
            config.set(&[(name.as_bytes(), b"5000")]).unwrap();
            assert_ne!(limits(&config), before, "{name}");
        }
        for (alias, value) in [
            ("hash-max-ziplist-entries", &b"1"[..]),
            ("hash-max-ziplist-value", b"2"),
            ("zset-max-ziplist-entries", b"3"),
            ("zset-max-ziplist-value", b"4"),
            ("list-max-ziplist-size", b"-3"),
        ] {
            let changed = config.set(&[(alias.as_bytes(), value)]).unwrap();
            assert!(changed.iter().all(|name| LIMITS.contains(name)) && changed.len() == 1, "{alias}: {changed:?}");
        }
        let limits = limits(&config);
        assert_eq!((limits.hash.entries, limits.hash.value, limits.zset.entries, limits.zset.value), (1, 2, 3, 4));
        assert_eq!(limits.list, keyspace::ListPacking::Bytes(16 << 10));
    }
}
