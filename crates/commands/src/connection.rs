//! Commands about the connection; the session runs them.

use crate::spec::{Argument, Categories, Command, Flags, Group, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::session(
        Spec::new("ping", -1, "Answers PONG, or what it was given.")
            .group(Group::Connection, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::FAST])
            .categories(&[Categories::CONNECTION])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .arguments(&[Argument::string("message").optional()]),
    ),
    Command::session(
        Spec::new("echo", 2, "Returns its argument.")
            .group(Group::Connection, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(&[Categories::CONNECTION])
            .arguments(&[Argument::string("message")]),
    ),
    Command::session(
        Spec::new("quit", -1, "Closes the connection.")
            .group(Group::Connection, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::NO_AUTH, Flags::ALLOW_BUSY])
            .categories(&[Categories::CONNECTION])
            .deprecated("7.2.0", "the end of the connection"),
    ),
    Command::session(
        Spec::new("reset", 1, "Puts the connection back into its first state.")
            .group(Group::Connection, "6.2.0")
            .costs("O(1)")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::NO_AUTH, Flags::ALLOW_BUSY])
            .categories(&[Categories::CONNECTION]),
    ),
    Command::session(
        Spec::new("hello", -1, "Greets the server and chooses the protocol.")
            .group(Group::Connection, "6.0.0")
            .costs("O(1)")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::NO_AUTH, Flags::ALLOW_BUSY])
            .categories(&[Categories::CONNECTION])
            .arguments(&[Argument::block(
                "arguments",
                &[
                    Argument::integer("protover"),
                    Argument::block("username_password", &[Argument::string("username"), Argument::string("password")])
                        .after("AUTH")
                        .optional(),
                    Argument::string("clientname").after("SETNAME").optional(),
                ],
            )
            .optional()]),
    ),
    Command::session(
        Spec::new("auth", -2, "Authenticates the connection.")
            .group(Group::Connection, "1.0.0")
            .costs("O(N) where N is the number of passwords of the user")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::NO_AUTH, Flags::ALLOW_BUSY])
            .categories(&[Categories::CONNECTION])
            .arguments(&[Argument::string("username").optional().since("6.0.0"), Argument::string("password")]),
    ),
    Command::session(
        Spec::new("select", 2, "Selects the database of the connection.")
            .group(Group::Connection, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(&[Categories::CONNECTION])
            .arguments(&[Argument::integer("index")]),
    ),
    Command::container(
        Spec::new("client", -2, "Tells about client connections and changes them.")
            .group(Group::Connection, "2.4.0")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("getname", 2, "Returns the name of the connection.")
                    .within("client")
                    .group(Group::Connection, "2.6.9")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("getredir", 2, "Returns the number of the connection that gets the invalidations.")
                    .within("client")
                    .group(Group::Connection, "6.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("client")
                    .group(Group::Connection, "5.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("id", 2, "Returns the number of the connection.")
                    .within("client")
                    .group(Group::Connection, "5.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("info", 2, "Returns what is known of the connection.")
                    .within("client")
                    .group(Group::Connection, "6.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .tips(&["nondeterministic_output"]),
            ),
            Command::session(
                Spec::new("kill", -3, "Closes connections.")
                    .within("client")
                    .group(Group::Connection, "2.4.0")
                    .costs("O(N) where N is the number of connections")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::one_of(
                        "filter",
                        &[
                            Argument::string("ip:port"),
                            Argument::one_of(
                                "new-format",
                                &[
                                    Argument::integer("client-id").after("ID").optional().since("2.8.12"),
                                    Argument::one_of(
                                        "normal_master_slave_pubsub",
                                        &[
                                            Argument::word("normal", "NORMAL"),
                                            Argument::word("master", "MASTER").since("3.2.0"),
                                            Argument::word("slave", "SLAVE"),
                                            Argument::word("replica", "REPLICA").since("5.0.0"),
                                            Argument::word("pubsub", "PUBSUB"),
                                        ],
                                    )
                                    .after("TYPE")
                                    .optional()
                                    .since("2.8.12"),
                                    Argument::string("username").after("USER").optional(),
                                    Argument::string("ip:port").after("ADDR").optional(),
                                    Argument::string("ip:port").after("LADDR").optional().since("6.2.0"),
                                    Argument::string("yes/no").after("SKIPME").optional(),
                                ],
                            )
                            .multiple(),
                        ],
                    )]),
            ),
            Command::session(
                Spec::new("list", -2, "Lists the connections.")
                    .within("client")
                    .group(Group::Connection, "2.4.0")
                    .costs("O(N) where N is the number of connections")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .tips(&["nondeterministic_output"])
                    .arguments(&[
                        Argument::one_of(
                            "normal_master_replica_pubsub",
                            &[
                                Argument::word("normal", "NORMAL"),
                                Argument::word("master", "MASTER"),
                                Argument::word("replica", "REPLICA"),
                                Argument::word("pubsub", "PUBSUB"),
                            ],
                        )
                        .after("TYPE")
                        .optional()
                        .since("5.0.0"),
                        Argument::block("id", &[Argument::integer("client-id").multiple()])
                            .after("ID")
                            .optional()
                            .since("6.2.0"),
                    ]),
            ),
            Command::session(
                Spec::new("no-evict", 3, "Exempts the connection from eviction.")
                    .within("client")
                    .group(Group::Connection, "7.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::one_of(
                        "enabled",
                        &[Argument::word("on", "ON"), Argument::word("off", "OFF")],
                    )]),
            ),
            Command::session(
                Spec::new("no-touch", 3, "Makes the commands of the connection not count as uses of keys.")
                    .within("client")
                    .group(Group::Connection, "7.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::one_of(
                        "enabled",
                        &[Argument::word("on", "ON"), Argument::word("off", "OFF")],
                    )]),
            ),
            Command::session(
                Spec::new("pause", -3, "Holds back commands of all connections for a while.")
                    .within("client")
                    .group(Group::Connection, "3.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[
                        Argument::integer("timeout"),
                        Argument::one_of("mode", &[Argument::word("write", "WRITE"), Argument::word("all", "ALL")])
                            .optional()
                            .since("6.2.0"),
                    ]),
            ),
            Command::session(
                Spec::new("reply", 3, "Turns replies to the connection on, off, or off for the next command.")
                    .within("client")
                    .group(Group::Connection, "3.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::one_of(
                        "on_off_skip",
                        &[Argument::word("on", "ON"), Argument::word("off", "OFF"), Argument::word("skip", "SKIP")],
                    )]),
            ),
            Command::session(
                Spec::new("setinfo", 4, "Notes the client library of the connection.")
                    .within("client")
                    .group(Group::Connection, "7.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::one_of(
                        "attr",
                        &[Argument::string("libname").after("LIB-NAME"), Argument::string("libver").after("LIB-VER")],
                    )]),
            ),
            Command::session(
                Spec::new("setname", 3, "Names the connection.")
                    .within("client")
                    .group(Group::Connection, "2.6.9")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[Argument::string("connection-name")]),
            ),
            Command::session(
                Spec::new("trackinginfo", 2, "Returns how keys are tracked for the connection.")
                    .within("client")
                    .group(Group::Connection, "6.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("unblock", -3, "Ends the waiting of a client in a blocking command.")
                    .within("client")
                    .group(Group::Connection, "5.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .arguments(&[
                        Argument::integer("client-id"),
                        Argument::one_of(
                            "timeout_error",
                            &[Argument::word("timeout", "TIMEOUT"), Argument::word("error", "ERROR")],
                        )
                        .optional(),
                    ]),
            ),
            Command::session(
                Spec::new("unpause", 2, "Lets commands that CLIENT PAUSE holds back go on.")
                    .within("client")
                    .group(Group::Connection, "6.2.0")
                    .costs("O(N) where N is the number of paused clients")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
        ],
    ),
];
