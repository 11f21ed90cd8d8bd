//! The table entries of the string commands.

use super::{condition, edit, lcs, many, number, read, write};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("append", 3, "Appends to a string, which is created if need be.")
            .group(Group::String, "2.0.0")
            .costs("O(M) where M is the length of what is appended")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("value")]),
        edit::append,
    ),
    Command::view(
        Spec::new("decr", 2, "Subtracts one from the integer in a string.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0)]),
        number::decr,
    ),
    Command::view(
        Spec::new("decrby", 3, "Subtracts an integer from the integer in a string.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("decrement")]),
        number::decrby,
    ),
    Command::view(
        Spec::new("delex", -2, "Deletes a key if its string has, or has not, a value or digest.")
            .group(Group::String, "8.4.0")
            .costs("O(1), O(N) for digests where N is the length of the string")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE, KeyFlags::VARIABLE_FLAGS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::string("ifeq-value").after("IFEQ"),
                        Argument::string("ifne-value").after("IFNE"),
                        Argument::string("ifdeq-digest").after("IFDEQ"),
                        Argument::string("ifdne-digest").after("IFDNE"),
                    ],
                )
                .optional(),
            ]),
        condition::delex,
    ),
    Command::view(
        Spec::new("digest", 2, "Returns the XXH3 digest of a string, 16 hexadecimal digits.")
            .group(Group::String, "8.4.0")
            .costs("O(N) where N is the length of the string")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        condition::digest,
    ),
    Command::view(
        Spec::new("get", 2, "Returns the value of a string.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        read::get,
    ),
    Command::view(
        Spec::new("getdel", 2, "Returns the value of a string and deletes the key.")
            .group(Group::String, "6.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0)]),
        read::getdel,
    ),
    Command::view(
        Spec::new("getex", -2, "Returns the value of a string and changes when it expires.")
            .group(Group::String, "6.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::one_of(
                    "expiration",
                    &[
                        Argument::integer("seconds").after("EX"),
                        Argument::integer("milliseconds").after("PX"),
                        Argument::time("unix-time-seconds").after("EXAT"),
                        Argument::time("unix-time-milliseconds").after("PXAT"),
                        Argument::word("persist", "PERSIST"),
                    ],
                )
                .optional(),
            ]),
        read::getex,
    ),
    Command::view(
        Spec::new("getrange", 4, "Returns a part of a string.")
            .group(Group::String, "2.4.0")
            .costs("O(N) where N is the length of what is returned")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("end")]),
        read::getrange,
    ),
    Command::view(
        Spec::new("getset", 3, "Sets a string and returns its previous value.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::string("value")])
            .deprecated("6.2.0", "`SET` with the `GET` argument"),
        write::getset,
    ),
    Command::view(
        Spec::new("incr", 2, "Adds one to the integer in a string.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0)]),
        number::incr,
    ),
    Command::view(
        Spec::new("incrby", 3, "Adds an integer to the integer in a string.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("increment")]),
        number::incrby,
    ),
    Command::view(
        Spec::new("incrbyfloat", 3, "Adds a floating point number to the number in a string.")
            .group(Group::String, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::double("increment")]),
        number::incrbyfloat,
    ),
    Command::view(
        Spec::new("lcs", -3, "Finds the longest common subsequence of two strings.")
            .group(Group::String, "7.0.0")
            .costs("O(N*M) where N and M are the lengths of the strings")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::range(1, 1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key1", 0),
                Argument::key("key2", 0),
                Argument::word("len", "LEN").optional(),
                Argument::word("idx", "IDX").optional(),
                Argument::integer("len").after("MINMATCHLEN").optional(),
                Argument::word("withmatchlen", "WITHMATCHLEN").optional(),
            ]),
        lcs::lcs,
    ),
    Command::view(
        Spec::new("mget", -2, "Returns the values of several strings.")
            .group(Group::String, "1.0.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::STRING])
            .tips(&["request_policy:multi_shard"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        many::mget,
    ),
    Command::view(
        Spec::new("mset", -3, "Sets several strings at once.")
            .group(Group::String, "1.0.1")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
            .keys(&[KeySpec::range(1, -1, 2, &[KeyFlags::OW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::block("key_value", &[Argument::key("key", 0), Argument::string("value")]).multiple()
            ]),
        many::mset,
    ),
    Command::view(
        Spec::new("msetex", -4, "Sets several strings at once, on conditions if wanted, and when they expire.")
            .group(Group::String, "8.4.0")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
            .categories(&[Categories::STRING])
            .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
            .keys(&[KeySpec::counted(1, 2, &[KeyFlags::OW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::block("data", &[Argument::key("key", 0), Argument::string("value")]).multiple(),
                Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")]).optional(),
                Argument::one_of(
                    "expiration",
                    &[
                        Argument::integer("seconds").after("EX"),
                        Argument::integer("milliseconds").after("PX"),
                        Argument::time("unix-time-seconds").after("EXAT"),
                        Argument::time("unix-time-milliseconds").after("PXAT"),
                        Argument::word("keepttl", "KEEPTTL"),
                    ],
                )
                .optional(),
            ]),
        many::msetex,
    ),
    Command::view(
        Spec::new("msetnx", -3, "Sets several strings at once if none of the keys exists.")
            .group(Group::String, "1.0.1")
            .costs("O(N) where N is the number of keys")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .tips(&["request_policy:multi_shard", "response_policy:agg_min"])
            .keys(&[KeySpec::range(1, -1, 2, &[KeyFlags::OW, KeyFlags::INSERT])])
            .arguments(&[
                Argument::block("key_value", &[Argument::key("key", 0), Argument::string("value")]).multiple()
            ]),
        many::msetnx,
    ),
    Command::view(
        Spec::new("psetex", 4, "Sets a string and its time to live in milliseconds.")
            .group(Group::String, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("milliseconds"), Argument::string("value")]),
        write::psetex,
    ),
    Command::view(
        Spec::new("set", -3, "Sets a string, on conditions if wanted, and when it expires.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE, KeyFlags::VARIABLE_FLAGS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("value"),
                Argument::one_of(
                    "condition",
                    &[
                        Argument::word("nx", "NX"),
                        Argument::word("xx", "XX"),
                        Argument::string("ifeq-value").after("IFEQ").since("8.4.0"),
                        Argument::string("ifne-value").after("IFNE").since("8.4.0"),
                        Argument::string("ifdeq-digest").after("IFDEQ").since("8.4.0"),
                        Argument::string("ifdne-digest").after("IFDNE").since("8.4.0"),
                    ],
                )
                .optional()
                .since("2.6.12"),
                Argument::word("get", "GET").optional().since("6.2.0"),
                Argument::one_of(
                    "expiration",
                    &[
                        Argument::integer("seconds").after("EX").since("2.6.12"),
                        Argument::integer("milliseconds").after("PX").since("2.6.12"),
                        Argument::time("unix-time-seconds").after("EXAT").since("6.2.0"),
                        Argument::time("unix-time-milliseconds").after("PXAT").since("6.2.0"),
                        Argument::word("keepttl", "KEEPTTL").since("6.0.0"),
                    ],
                )
                .optional(),
            ]),
        write::set,
    ),
    Command::view(
        Spec::new("setex", 4, "Sets a string and its time to live in seconds.")
            .group(Group::String, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("seconds"), Argument::string("value")]),
        write::setex,
    ),
    Command::view(
        Spec::new("setnx", 3, "Sets a string if the key does not exist.")
            .group(Group::String, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::OW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("value")]),
        write::setnx,
    ),
    Command::view(
        Spec::new("setrange", 4, "Overwrites a part of a string, which grows as needed.")
            .group(Group::String, "2.2.0")
            .costs("O(M) where M is the length of the new part")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("offset"), Argument::string("value")]),
        edit::setrange,
    ),
    Command::view(
        Spec::new("strlen", 2, "Returns the length of a string.")
            .group(Group::String, "2.2.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        read::strlen,
    ),
    Command::view(
        Spec::new("substr", 4, "Returns a part of a string.")
            .group(Group::String, "1.0.0")
            .costs("O(N) where N is the length of what is returned")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::STRING])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("end")])
            .deprecated("2.0.0", "`GETRANGE`"),
        read::getrange,
    ),
];
