//! Commands about whom this node follows; the session runs them.

use crate::spec::{Argument, Command, Flags, Group, Spec};

/// What an operator may need while data is loaded or stale.
const OF_OPERATORS: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

/// A host and its port, or `NO ONE`.
const PRIMARY: &[Argument] = &[Argument::one_of(
    "args",
    &[
        Argument::block("host-port", &[Argument::string("host"), Argument::integer("port")]),
        Argument::block("no-one", &[Argument::word("no", "NO"), Argument::word("one", "ONE")]),
    ],
)];

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::session(
        Spec::new("replicaof", 3, "Makes the server follow a primary, or be one.")
            .group(Group::Server, "5.0.0")
            .costs("O(1)")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE, Flags::NO_ASYNC_LOADING])
            .arguments(PRIMARY),
    ),
    Command::session(
        Spec::new("slaveof", 3, "Makes the server follow a primary, or be one: the older name of REPLICAOF.")
            .group(Group::Server, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE, Flags::NO_ASYNC_LOADING])
            .deprecated("5.0.0", "`REPLICAOF`")
            .arguments(PRIMARY),
    ),
    Command::session(
        Spec::new("dbslaveof", -3, "Detaches a database of a replica, attaches it, or has it copied anew.")
            .group(Group::Server, "0.1.0")
            .costs("O(1)")
            .flags(OF_OPERATORS)
            .arguments(&[
                Argument::integer("db"),
                Argument::one_of(
                    "what",
                    &[
                        Argument::block("no-one", &[Argument::word("no", "NO"), Argument::word("one", "ONE")]),
                        Argument::word("sync", "SYNC"),
                        Argument::word("force", "FORCE"),
                    ],
                ),
            ]),
    ),
    Command::container(
        Spec::new("replication", -2, "Shows and resets the state of replication.")
            .group(Group::Server, "0.1.0")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("alarms", 2, "Returns the conditions that somebody should look at.")
                    .within("replication")
                    .group(Group::Server, "0.1.0")
                    .costs("O(N) where N is the number of alarms")
                    .flags(OF_OPERATORS),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("replication")
                    .group(Group::Server, "0.1.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("history", -2, "Returns the latest events, of all or of one database.")
                    .within("replication")
                    .group(Group::Server, "0.1.0")
                    .costs("O(N) where N is the number of events that are kept")
                    .flags(OF_OPERATORS)
                    .arguments(&[Argument::string("db").optional(), Argument::integer("count").optional()]),
            ),
            Command::session(
                Spec::new("reset", -2, "Retries now what failed, with a new budget of attempts.")
                    .within("replication")
                    .group(Group::Server, "0.1.0")
                    .costs("O(1)")
                    .flags(OF_OPERATORS)
                    .arguments(&[Argument::integer("db").optional()]),
            ),
            Command::session(
                Spec::new("status", 2, "Returns the state of replication for people.")
                    .within("replication")
                    .group(Group::Server, "0.1.0")
                    .costs("O(N) where N is the number of databases")
                    .flags(OF_OPERATORS),
            ),
        ],
    ),
];
