//! Commands about the server; the session runs them.

use crate::keys::memory_usage;
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::session_container(
        Spec::new("command", -1, "Describes all commands.")
            .group(Group::Server, "2.8.13")
            .costs("O(N) where N is the number of commands")
            .flags(&[Flags::LOADING, Flags::STALE])
            .categories(&[Categories::CONNECTION])
            .tips(&["nondeterministic_output_order"]),
        &[
            Command::session(
                Spec::new("count", 2, "Returns the number of commands.")
                    .within("command")
                    .group(Group::Server, "2.8.13")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("docs", -2, "Returns the documentation of commands.")
                    .within("command")
                    .group(Group::Server, "7.0.0")
                    .costs("O(N) where N is the number of commands")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .tips(&["nondeterministic_output_order"])
                    .arguments(&[Argument::string("command-name").optional().multiple()]),
            ),
            Command::session(
                Spec::new("getkeys", -4, "Returns the keys of a command line.")
                    .within("command")
                    .group(Group::Server, "2.8.13")
                    .costs("O(N) where N is the number of arguments")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("getkeysandflags", -4, "Returns the keys of a command line, and what is done with them.")
                    .within("command")
                    .group(Group::Server, "7.0.0")
                    .costs("O(N) where N is the number of arguments")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("command")
                    .group(Group::Server, "5.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION]),
            ),
            Command::session(
                Spec::new("info", -2, "Describes commands.")
                    .within("command")
                    .group(Group::Server, "2.8.13")
                    .costs("O(N) where N is the number of commands")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .tips(&["nondeterministic_output_order"])
                    .arguments(&[Argument::string("command-name").optional().multiple()]),
            ),
            Command::session(
                Spec::new("list", -2, "Returns the names of commands.")
                    .within("command")
                    .group(Group::Server, "7.0.0")
                    .costs("O(N) where N is the number of commands")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::CONNECTION])
                    .tips(&["nondeterministic_output_order"])
                    .arguments(&[Argument::one_of(
                        "filterby",
                        &[
                            Argument::string("module-name").after("MODULE"),
                            Argument::string("category").after("ACLCAT"),
                            Argument::pattern("pattern").after("PATTERN"),
                        ],
                    )
                    .after("FILTERBY")
                    .optional()]),
            ),
        ],
    ),
    Command::container(
        Spec::new("config", -2, "Reads and changes the configuration.")
            .group(Group::Server, "2.0.0")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("get", -3, "Returns the parameters whose names match.")
                    .within("config")
                    .group(Group::Server, "2.0.0")
                    .costs("O(N) where N is the number of patterns")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .arguments(&[Argument::block("parameter", &[Argument::string("parameter")]).multiple()]),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("config")
                    .group(Group::Server, "5.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("resetstat", 2, "Sets the counters of INFO to zero.")
                    .within("config")
                    .group(Group::Server, "2.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("rewrite", 2, "Writes the configuration in force to the file.")
                    .within("config")
                    .group(Group::Server, "2.8.0")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("set", -4, "Changes parameters.")
                    .within("config")
                    .group(Group::Server, "2.0.0")
                    .costs("O(N) where N is the number of parameters")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                    .arguments(&[Argument::block(
                        "parameter_value",
                        &[Argument::string("parameter"), Argument::string("value")],
                    )
                    .multiple()]),
            ),
        ],
    ),
    Command::session(
        Spec::new("info", -1, "Returns the state and the counters of the server.")
            .group(Group::Server, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::LOADING, Flags::STALE])
            .categories(&[Categories::DANGEROUS])
            .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
            .arguments(&[Argument::string("section").optional().multiple()]),
    ),
    Command::session(
        Spec::new("time", 1, "Returns the time of the server.")
            .group(Group::Server, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
            .tips(&["nondeterministic_output"]),
    ),
    Command::session(
        Spec::new("lastsave", 1, "Returns when data was last saved.")
            .group(Group::Server, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(&[Categories::ADMIN, Categories::DANGEROUS])
            .tips(&["nondeterministic_output"]),
    ),
    Command::session(
        Spec::new("save", 1, "Makes a snapshot and waits for it.")
            .group(Group::Server, "1.0.0")
            .costs("O(N) where N is the size of the log that is copied")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_ASYNC_LOADING, Flags::NO_MULTI]),
    ),
    Command::session(
        Spec::new("bgrewriteaof", 1, "Writes what the log holds to the stores, so that the log can be cut.")
            .group(Group::Server, "1.0.0")
            .costs("O(N) where N is the amount of unsettled data")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_ASYNC_LOADING]),
    ),
    Command::session(
        Spec::new("role", 1, "Returns the place of the server in replication.")
            .group(Group::Server, "2.8.12")
            .costs("O(1)")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST])
            .categories(&[Categories::ADMIN, Categories::DANGEROUS]),
    ),
    Command::session(
        Spec::new("bgsave", -1, "Makes a snapshot in the background.")
            .group(Group::Server, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_ASYNC_LOADING])
            .arguments(&[Argument::word("schedule", "SCHEDULE").optional().since("3.2.2")]),
    ),
    Command::session(
        Spec::new("shutdown", -1, "Stops the server in good order.")
            .group(Group::Server, "1.0.0")
            .costs("O(N) where N is the amount of unsettled data")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::NO_MULTI, Flags::ALLOW_BUSY])
            .arguments(&[
                Argument::one_of("nosave_save", &[Argument::word("nosave", "NOSAVE"), Argument::word("save", "SAVE")])
                    .optional(),
                Argument::word("now", "NOW").optional().since("7.0.0"),
                Argument::word("force", "FORCE").optional().since("7.0.0"),
                Argument::word("abort", "ABORT").optional().since("7.0.0"),
            ]),
    ),
    Command::session(
        Spec::new("debug", -2, "Serves test suites.")
            .group(Group::Server, "1.0.0")
            .costs("Depends on the subcommand")
            .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE]),
    ),
    Command::container(
        Spec::new("slowlog", -2, "Shows commands that took long.")
            .group(Group::Server, "2.2.12")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("get", -2, "Returns the latest slow commands.")
                    .within("slowlog")
                    .group(Group::Server, "2.2.12")
                    .costs("O(N) where N is the number of entries returned")
                    .flags(&[Flags::ADMIN, Flags::LOADING, Flags::STALE])
                    .tips(&["request_policy:all_nodes", "nondeterministic_output"])
                    .arguments(&[Argument::integer("count").optional()]),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("slowlog")
                    .group(Group::Server, "6.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("len", 2, "Returns how many slow commands are kept.")
                    .within("slowlog")
                    .group(Group::Server, "2.2.12")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::LOADING, Flags::STALE])
                    .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
            ),
            Command::session(
                Spec::new("reset", 2, "Forgets the slow commands.")
                    .within("slowlog")
                    .group(Group::Server, "2.2.12")
                    .costs("O(N) where N is the number of entries")
                    .flags(&[Flags::ADMIN, Flags::LOADING, Flags::STALE])
                    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
            ),
        ],
    ),
    Command::container(
        Spec::new("memory", -2, "Tells what memory is used for.")
            .group(Group::Server, "4.0.0")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("doctor", 2, "Names problems with memory.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("O(1)")
                    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
            ),
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("malloc-stats", 2, "Returns the report of the allocator.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("Depends on the memory in use")
                    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
            ),
            Command::session(
                Spec::new("purge", 2, "Asks the allocator to give memory back.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("Depends on the memory in use")
                    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
            ),
            Command::session(
                Spec::new("stats", 2, "Returns what memory is used for.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("O(1)")
                    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
            ),
            Command::view(
                Spec::new("usage", -3, "Estimates the bytes of a key, in memory or not.")
                    .within("memory")
                    .group(Group::Server, "4.0.0")
                    .costs("O(N) with N the number of samples")
                    .flags(&[Flags::READONLY])
                    .keys(&[KeySpec::one(2, &[KeyFlags::RO])])
                    .arguments(&[Argument::key("key", 0), Argument::integer("count").after("SAMPLES").optional()]),
                memory_usage,
            ),
        ],
    ),
    Command::container(
        Spec::new("latency", -2, "Shows when the server was slow.")
            .group(Group::Server, "2.8.13")
            .costs("Depends on the subcommand"),
        &[
            Command::session(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("latency")
                    .group(Group::Server, "2.8.13")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE]),
            ),
            Command::session(
                Spec::new("history", 3, "Returns the latest times at which an event was slow.")
                    .within("latency")
                    .group(Group::Server, "2.8.13")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"])
                    .arguments(&[Argument::string("event")]),
            ),
            Command::session(
                Spec::new("latest", 2, "Returns the latest slow time of each event.")
                    .within("latency")
                    .group(Group::Server, "2.8.13")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
            ),
            Command::session(
                Spec::new("reset", -2, "Forgets the slow times of events.")
                    .within("latency")
                    .group(Group::Server, "2.8.13")
                    .costs("O(1)")
                    .flags(&[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE])
                    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                    .arguments(&[Argument::string("event").optional().multiple()]),
            ),
        ],
    ),
    Command::session(
        Spec::new("lolwut", -1, "Shows a picture and the version.")
            .group(Group::Server, "5.0.0")
            .flags(&[Flags::READONLY, Flags::FAST])
            .arguments(&[Argument::integer("version").after("VERSION").optional()]),
    ),
];
