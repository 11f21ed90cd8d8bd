//! Directives of a redis.conf that are no parameters here: those to ignore with a warning, and those whose loss the operator
//! must notice, so that the start is refused.

/// What to do with a directive that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It goes without saying here; warn and go on.
    Ignored,
    /// To go on without it would be wrong: this is why.
    Refused(&'static str),
}

/// What to do with `name`, in any case; none if Redis does not know it either.
pub fn foreign(name: &str) -> Option<Foreign> {
    if let Some((_, reason)) = REFUSED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(Foreign::Refused(reason));
    }
    IGNORED.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Foreign::Ignored)
}

const REFUSED: &[(&str, &str)] = &[
    ("loadmodule", "Modules are not supported: remove this line"),
    ("user", "Users cannot be declared in the configuration file: without them everybody would have all rights"),
    ("aclfile", "Users cannot be read from a file: without them everybody would have all rights"),
];

/// Names of Redis 7.2 that are ignored, in alphabetical order.
pub const IGNORED: &[&str] = &[
    "acl-pubsub-default",
    "acllog-max-len",
    "aof-disable-auto-gc",
    "aof_rewrite_cpulist",
    "bgsave_cpulist",
    "bind-source-addr",
    "bio_cpulist",
    "cluster-allow-pubsubshard-when-down",
    "cluster-allow-reads-when-down",
    "cluster-allow-replica-migration",
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-tls-port",
    "cluster-config-file",
    "cluster-enabled",
    "cluster-link-sendbuf-limit",
    "cluster-migration-barrier",
    "cluster-node-timeout",
    "cluster-port",
    "cluster-preferred-endpoint-type",
    "cluster-replica-no-failover",
    "cluster-replica-validity-factor",
    "cluster-require-full-coverage",
    "cluster-slave-no-failover",
    "cluster-slave-validity-factor",
    "enable-module-command",
    "gopher-enabled",
    "ignore-warnings",
    "jemalloc-bg-thread",
    "latency-tracking",
    "latency-tracking-info-percentiles",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "locale-collate",
    "max-new-connections-per-cycle",
    "max-new-tls-connections-per-cycle",
    "propagation-error-behavior",
    "rename-command",
    "replica-ignore-disk-write-errors",
    "sanitize-dump-payload",
    "server_cpulist",
    "shutdown-on-sigint",
    "shutdown-on-sigterm",
    "socket-mark-id",
    "syslog-enabled",
    "syslog-facility",
    "syslog-ident",
    "tls-auth-clients",
    "tls-ca-cert-dir",
    "tls-ca-cert-file",
    "tls-cert-file",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-client-key-file-pass",
    "tls-cluster",
    "tls-dh-params-file",
    "tls-key-file",
    "tls-key-file-pass",
    "tls-port",
    "tls-prefer-server-ciphers",
    "tls-protocols",
    "tls-replication",
    "tls-session-cache-size",
    "tls-session-cache-timeout",
    "tls-session-caching",
];
