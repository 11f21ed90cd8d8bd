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

/// What to do with `name`, in any case, and its values; none if Redis does not know it either.
pub fn foreign(name: &str, values: &[String]) -> Option<Foreign> {
    if let Some(refused) = REFUSED.iter().find(|refused| refused.name.eq_ignore_ascii_case(name)) {
        let is_off = refused.off.is_some_and(|off| matches!(values, [value] if value.eq_ignore_ascii_case(off)));
        return Some(if is_off { Foreign::Ignored } else { Foreign::Refused(refused.reason) });
    }
    IGNORED.iter().any(|known| known.eq_ignore_ascii_case(name)).then_some(Foreign::Ignored)
}

/// A directive without which the server would be less safe than its operator believes.
pub struct Refused {
    /// Its name.
    pub name: &'static str,
    /// The value with which it asks for nothing.
    pub off: Option<&'static str>,
    reason: &'static str,
}

/// Names of Redis 7.2 that are refused.
pub const REFUSED: &[Refused] = &[
    Refused { name: "loadmodule", off: None, reason: "Modules are not supported: remove this line" },
    Refused {
        name: "user",
        off: None,
        reason: "Users cannot be declared in the configuration file: without them everybody would have all rights",
    },
    Refused {
        name: "aclfile",
        off: None,
        reason: "Users cannot be read from a file: without them everybody would have all rights",
    },
    Refused {
        name: "rename-command",
        off: None,
        reason: "Commands cannot be renamed or disabled: without this line everybody could use them under their own names",
    },
    Refused {
        name: "tls-port",
        off: Some("0"),
        reason: "TLS is not supported: no client could connect to this port, and those of 'port' would not be encrypted",
    },
    Refused {
        name: "tls-replication",
        off: Some("no"),
        reason: "TLS is not supported: passwords and data would go to the primary unencrypted",
    },
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
    "tls-prefer-server-ciphers",
    "tls-protocols",
    "tls-session-cache-size",
    "tls-session-cache-timeout",
    "tls-session-caching",
];
