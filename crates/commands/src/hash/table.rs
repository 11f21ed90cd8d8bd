//! The table entries of the hash commands.

use super::{number, pick, read, write};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("hdel", -3, "Removes fields of a hash, and the hash with the last one.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the number of fields to remove")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::string("field").multiple()]),
        write::hdel,
    ),
    Command::view(
        Spec::new("hexists", 3, "Says whether a hash has a field.")
            .group(Group::Hash, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0), Argument::string("field")]),
        read::hexists,
    ),
    Command::view(
        Spec::new("hget", 3, "Returns the value of a field.")
            .group(Group::Hash, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::string("field")]),
        read::hget,
    ),
    Command::view(
        Spec::new("hgetall", 2, "Returns all fields of a hash with their values.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the size of the hash")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        read::hgetall,
    ),
    Command::view(
        Spec::new("hincrby", 4, "Adds to the integer in a field.")
            .group(Group::Hash, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::integer("increment")]),
        number::hincrby,
    ),
    Command::view(
        Spec::new("hincrbyfloat", 4, "Adds to the floating point number in a field.")
            .group(Group::Hash, "2.6.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::double("increment")]),
        number::hincrbyfloat,
    ),
    Command::view(
        Spec::new("hkeys", 2, "Returns all fields of a hash.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the size of the hash")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        read::hkeys,
    ),
    Command::view(
        Spec::new("hlen", 2, "Returns the number of fields of a hash.")
            .group(Group::Hash, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        read::hlen,
    ),
    Command::view(
        Spec::new("hmget", -3, "Returns the values of several fields.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the number of fields asked for")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::string("field").multiple()]),
        read::hmget,
    ),
    Command::view(
        Spec::new("hmset", -4, "Sets several fields.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the number of fields to set")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("data", &[Argument::string("field"), Argument::string("value")]).multiple(),
            ])
            .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
        write::hmset,
    ),
    Command::view(
        Spec::new("hrandfield", -2, "Returns random fields of a hash.")
            .group(Group::Hash, "6.2.0")
            .costs("O(N) where N is the number of fields returned")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block(
                    "options",
                    &[Argument::integer("count"), Argument::word("withvalues", "WITHVALUES").optional()],
                )
                .optional(),
            ]),
        pick::hrandfield,
    ),
    Command::view(
        Spec::new("hscan", -3, "Returns some of the fields of a hash, and where to go on.")
            .group(Group::Hash, "2.8.0")
            .costs("O(1) for a step, O(N) for all of them, where N is the number of fields")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("cursor"),
                Argument::pattern("pattern").after("MATCH").optional(),
                Argument::integer("count").after("COUNT").optional(),
                Argument::word("novalues", "NOVALUES").since("7.4.0").optional(),
            ]),
        read::hscan,
    ),
    Command::view(
        Spec::new("hset", -4, "Sets fields of a hash, which is created if need be.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the number of fields to set")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("data", &[Argument::string("field"), Argument::string("value")]).multiple(),
            ]),
        write::hset,
    ),
    Command::view(
        Spec::new("hsetnx", 4, "Sets a field unless the hash has it.")
            .group(Group::Hash, "2.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("field"), Argument::string("value")]),
        write::hsetnx,
    ),
    Command::view(
        Spec::new("hstrlen", 3, "Returns the length of the value of a field.")
            .group(Group::Hash, "3.2.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0), Argument::string("field")]),
        read::hstrlen,
    ),
    Command::view(
        Spec::new("hvals", 2, "Returns all values of a hash.")
            .group(Group::Hash, "2.0.0")
            .costs("O(N) where N is the size of the hash")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        read::hvals,
    ),
];
