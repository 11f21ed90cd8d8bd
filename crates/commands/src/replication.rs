//! Commands of replication; the session runs them.

use crate::spec::{Argument, Categories, Command, Flags, Group, Spec};

/// What another node's links need: it administers, and works while data is loaded or stale.
const OF_NODES: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::NO_MULTI];

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::session(
        Spec::new("wait", 3, "Waits until so many replicas have what this connection has seen and written.")
            .group(Group::Generic, "3.0.0")
            .costs("O(1)")
            .flags(&[Flags::BLOCKING])
            .categories(&[Categories::CONNECTION])
            .tips(&["request_policy:all_shards", "response_policy:agg_min"])
            .arguments(&[Argument::integer("numreplicas"), Argument::integer("timeout")]),
    ),
    Command::session(
        Spec::new(
            "waitaof",
            4,
            "Waits until what this connection has seen and written is durable here and on so many replicas.",
        )
        .group(Group::Generic, "7.2.0")
        .costs("O(1)")
        .flags(&[Flags::BLOCKING])
        .categories(&[Categories::CONNECTION])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .arguments(&[
            Argument::integer("numlocal"),
            Argument::integer("numreplicas"),
            Argument::integer("timeout"),
        ]),
    ),
    Command::session(
        Spec::new("replconf", -1, "Tells a primary about the replica that connects.")
            .group(Group::Server, "3.0.0")
            .costs("O(1)")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::ALLOW_BUSY]),
    ),
    Command::session(
        Spec::new("syncmeta", 6, "Makes the connection the control link of a replica.")
            .group(Group::Server, "0.1.0")
            .costs("O(N) where N is the number of databases")
            .flags(OF_NODES)
            .arguments(&[
                Argument::integer("version"),
                Argument::string("node-id"),
                Argument::string("run-id"),
                Argument::integer("databases"),
                Argument::integer("role-generation"),
            ]),
    ),
    Command::session(
        Spec::new("syncshard", -8, "Makes the connection a link that brings a replica the log of a database.")
            .group(Group::Server, "0.1.0")
            .costs("O(1)")
            .flags(OF_NODES)
            .arguments(&[
                Argument::integer("version"),
                Argument::string("node-id"),
                Argument::string("run-id"),
                Argument::integer("role-generation"),
                Argument::integer("database"),
                Argument::integer("end"),
                Argument::string("lineage"),
                Argument::string("reason").optional(),
            ]),
    ),
    Command::session(
        Spec::new("snapshot", -3, "Serves a replica that fetches a copy of a database.")
            .group(Group::Server, "0.1.0")
            .costs("O(N) where N is the number of bytes read; OPEN makes a copy of the database in the background")
            .flags(OF_NODES)
            .arguments(&[Argument::one_of(
                "what",
                &[
                    Argument::block(
                        "open",
                        &[
                            Argument::word("open", "OPEN"),
                            Argument::integer("version"),
                            Argument::string("node-id"),
                            Argument::integer("database"),
                        ],
                    ),
                    Argument::block(
                        "read",
                        &[
                            Argument::word("read", "READ"),
                            Argument::integer("lease"),
                            Argument::integer("file"),
                            Argument::integer("offset"),
                            Argument::integer("length"),
                        ],
                    ),
                    Argument::block("keep", &[Argument::word("keep", "KEEP"), Argument::integer("lease")]),
                    Argument::block("close", &[Argument::word("close", "CLOSE"), Argument::integer("lease")]),
                ],
            )]),
    ),
];
