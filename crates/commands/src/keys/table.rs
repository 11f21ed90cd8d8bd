//! The table entries of the commands on keys of any type.

use super::{copy, expire, flush, object, presence, rename, walk};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Scope, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("copy", -3, "Copies the value of a key to another key, also in another database.")
            .group(Group::Generic, "6.2.0")
            .costs("O(N) where N is the size of the value")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::KEYSPACE])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS]),
                KeySpec::one(2, &[KeyFlags::OW, KeyFlags::UPDATE]),
            ])
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::integer("destination-db").after("DB").optional(),
                Argument::word("replace", "REPLACE").optional(),
            ]),
        copy::copy,
    )
    .other_database(copy::copy_keys),
    Command::view(
        Spec::new("dbsize", 1, "Returns the number of keys in the database.")
            .group(Group::Server, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
        walk::dbsize,
    )
    .scope(Scope::Walk),
    Command::view(
        Spec::new("del", -2, "Deletes keys.")
            .group(Group::Generic, "1.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RM, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        presence::delete,
    ),
    Command::view(
        Spec::new("exists", -2, "Counts how many of the keys exist.")
            .group(Group::Generic, "1.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        presence::exists,
    ),
    Command::view(
        Spec::new("expire", -3, "Sets the time to live of a key in seconds.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("seconds"),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::word("nx", "NX"),
                        Argument::word("xx", "XX"),
                        Argument::word("gt", "GT"),
                        Argument::word("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        expire::expire,
    ),
    Command::view(
        Spec::new("expireat", -3, "Sets when a key expires, in seconds of Unix time.")
            .group(Group::Generic, "1.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::time("unix-time-seconds"),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::word("nx", "NX"),
                        Argument::word("xx", "XX"),
                        Argument::word("gt", "GT"),
                        Argument::word("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        expire::expireat,
    ),
    Command::view(
        Spec::new("expiretime", 2, "Returns when a key expires, in seconds of Unix time.")
            .group(Group::Generic, "7.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        expire::expiretime,
    ),
    Command::view(
        Spec::new("flushall", -1, "Removes all keys of all databases.")
            .group(Group::Server, "1.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::KEYSPACE, Categories::DANGEROUS])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .arguments(&[Argument::one_of(
                "async",
                &[Argument::word("async", "ASYNC").since("4.0.0"), Argument::word("sync", "SYNC").since("6.2.0")],
            )
            .optional()]),
        flush::flushall,
    )
    .scope(Scope::AllShards),
    Command::view(
        Spec::new("flushdb", -1, "Removes all keys of the database.")
            .group(Group::Server, "1.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::KEYSPACE, Categories::DANGEROUS])
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
            .arguments(&[Argument::one_of(
                "async",
                &[Argument::word("async", "ASYNC").since("4.0.0"), Argument::word("sync", "SYNC").since("6.2.0")],
            )
            .optional()]),
        flush::flushdb,
    )
    .scope(Scope::Shard),
    Command::view(
        Spec::new("keys", 2, "Returns all keys whose names match a pattern.")
            .group(Group::Generic, "1.0.0")
            .costs("O(N) where N is the number of keys that begin like the pattern")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::KEYSPACE, Categories::DANGEROUS])
            .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
            .arguments(&[Argument::pattern("pattern")]),
        walk::keys,
    )
    .scope(Scope::Walk),
    Command::view(
        Spec::new("move", 3, "Moves a key to another database.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("db")]),
        copy::relocate,
    )
    .other_database(copy::relocate_keys),
    Command::container(
        Spec::new("object", -2, "Tells how values are kept.")
            .group(Group::Generic, "2.2.3")
            .costs("Depends on the subcommand"),
        &[
            Command::view(
                Spec::new("encoding", 3, "Returns how a value is encoded.")
                    .within("object")
                    .group(Group::Generic, "2.2.3")
                    .costs("O(1)")
                    .flags(&[Flags::READONLY])
                    .categories(&[Categories::KEYSPACE])
                    .tips(&["nondeterministic_output"])
                    .keys(&[KeySpec::one(2, &[KeyFlags::RO])])
                    .arguments(&[Argument::key("key", 0)]),
                object::encoding,
            ),
            Command::view(
                Spec::new("freq", 3, "Returns how often a key was used of late, on a logarithmic scale.")
                    .within("object")
                    .group(Group::Generic, "4.0.0")
                    .costs("O(1)")
                    .flags(&[Flags::READONLY])
                    .categories(&[Categories::KEYSPACE])
                    .tips(&["nondeterministic_output"])
                    .keys(&[KeySpec::one(2, &[KeyFlags::RO])])
                    .arguments(&[Argument::key("key", 0)]),
                object::freq,
            ),
            Command::view(
                Spec::new("help", 2, "Lists the subcommands.")
                    .within("object")
                    .group(Group::Generic, "6.2.0")
                    .costs("O(1)")
                    .flags(&[Flags::LOADING, Flags::STALE])
                    .categories(&[Categories::KEYSPACE]),
                object::help,
            ),
            Command::view(
                Spec::new("idletime", 3, "Returns how long a key has not been used, in seconds.")
                    .within("object")
                    .group(Group::Generic, "2.2.3")
                    .costs("O(1)")
                    .flags(&[Flags::READONLY])
                    .categories(&[Categories::KEYSPACE])
                    .tips(&["nondeterministic_output"])
                    .keys(&[KeySpec::one(2, &[KeyFlags::RO])])
                    .arguments(&[Argument::key("key", 0)]),
                object::idletime,
            ),
            Command::view(
                Spec::new("refcount", 3, "Returns the reference count that Redis would have for a value.")
                    .within("object")
                    .group(Group::Generic, "2.2.3")
                    .costs("O(1)")
                    .flags(&[Flags::READONLY])
                    .categories(&[Categories::KEYSPACE])
                    .tips(&["nondeterministic_output"])
                    .keys(&[KeySpec::one(2, &[KeyFlags::RO])])
                    .arguments(&[Argument::key("key", 0)]),
                object::refcount,
            ),
        ],
    ),
    Command::view(
        Spec::new("persist", 2, "Makes a key stay for ever.")
            .group(Group::Generic, "2.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0)]),
        expire::persist,
    ),
    Command::view(
        Spec::new("pexpire", -3, "Sets the time to live of a key in milliseconds.")
            .group(Group::Generic, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("milliseconds"),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::word("nx", "NX"),
                        Argument::word("xx", "XX"),
                        Argument::word("gt", "GT"),
                        Argument::word("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        expire::pexpire,
    ),
    Command::view(
        Spec::new("pexpireat", -3, "Sets when a key expires, in milliseconds of Unix time.")
            .group(Group::Generic, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::time("unix-time-milliseconds"),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::word("nx", "NX"),
                        Argument::word("xx", "XX"),
                        Argument::word("gt", "GT"),
                        Argument::word("lt", "LT"),
                    ],
                )
                .optional()
                .since("7.0.0"),
            ]),
        expire::pexpireat,
    ),
    Command::view(
        Spec::new("pexpiretime", 2, "Returns when a key expires, in milliseconds of Unix time.")
            .group(Group::Generic, "7.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        expire::pexpiretime,
    ),
    Command::view(
        Spec::new("pttl", 2, "Returns the time to live of a key in milliseconds.")
            .group(Group::Generic, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        expire::pttl,
    ),
    Command::view(
        Spec::new("randomkey", 1, "Returns some key.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:all_shards", "nondeterministic_output"]),
        walk::randomkey,
    )
    .scope(Scope::Walk),
    Command::view(
        Spec::new("rename", 3, "Renames a key, over another one if need be.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::KEYSPACE])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::OW, KeyFlags::UPDATE]),
            ])
            .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
        rename::rename,
    ),
    Command::view(
        Spec::new("renamenx", 3, "Renames a key if the new name is free.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::OW, KeyFlags::INSERT]),
            ])
            .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
        rename::renamenx,
    ),
    Command::view(
        Spec::new("scan", -2, "Walks over the keys of the database, a few at a time.")
            .group(Group::Generic, "2.8.0")
            .costs("O(1) a call, O(N) for all N keys")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::KEYSPACE])
            .tips(&["nondeterministic_output", "request_policy:special"])
            .arguments(&[
                Argument::integer("cursor"),
                Argument::pattern("pattern").after("MATCH").optional(),
                Argument::integer("count").after("COUNT").optional(),
                Argument::string("type").after("TYPE").optional().since("6.0.0"),
            ]),
        walk::scan,
    )
    .scope(Scope::Walk),
    Command::view(
        Spec::new("touch", -2, "Counts how many of the keys exist, and notes that they were used.")
            .group(Group::Generic, "3.2.1")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        presence::exists,
    ),
    Command::view(
        Spec::new("ttl", 2, "Returns the time to live of a key in seconds.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        expire::ttl,
    ),
    Command::view(
        Spec::new("type", 2, "Returns the type of the value of a key.")
            .group(Group::Generic, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        presence::kind,
    ),
    Command::view(
        Spec::new("unlink", -2, "Deletes keys; here the same as DEL, which never waits for the disk either.")
            .group(Group::Generic, "4.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::KEYSPACE])
            .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RM, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        presence::delete,
    ),
];
