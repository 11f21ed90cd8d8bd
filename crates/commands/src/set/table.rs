//! The table entries of the set commands.

use super::{algebra, members, pick};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("sadd", -3, "Adds members to a set, which is created if need be.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members to add")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()]),
        members::sadd,
    ),
    Command::view(
        Spec::new("scard", 2, "Returns the number of members of a set.")
            .group(Group::Set, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        members::scard,
    ),
    Command::view(
        Spec::new("sdiff", -2, "Returns the members of the first set that no other one has.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members of all sets")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        algebra::sdiff,
    ),
    Command::view(
        Spec::new("sdiffstore", -3, "Stores the members of the first set that no other one has.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members of all sets")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::SET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::range(2, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()]),
        algebra::sdiffstore,
    ),
    Command::view(
        Spec::new("sinter", -2, "Returns the members that all sets have.")
            .group(Group::Set, "1.0.0")
            .costs("O(N*M) where N is the size of the smallest set and M the number of sets")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        algebra::sinter,
    ),
    Command::view(
        Spec::new("sintercard", -3, "Returns how many members all sets have.")
            .group(Group::Set, "7.0.0")
            .costs("O(N*M) where N is the size of the smallest set and M the number of sets")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::integer("limit").after("LIMIT").optional(),
            ]),
        algebra::sintercard,
    ),
    Command::view(
        Spec::new("sinterstore", -3, "Stores the members that all sets have.")
            .group(Group::Set, "1.0.0")
            .costs("O(N*M) where N is the size of the smallest set and M the number of sets")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::SET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::range(2, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()]),
        algebra::sinterstore,
    ),
    Command::view(
        Spec::new("sismember", 3, "Says whether a set has a member.")
            .group(Group::Set, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0), Argument::string("member")]),
        members::sismember,
    ),
    Command::view(
        Spec::new("smembers", 2, "Returns all members of a set.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0)]),
        members::smembers,
    ),
    Command::view(
        Spec::new("smismember", -3, "Says of several members whether a set has them.")
            .group(Group::Set, "6.2.0")
            .costs("O(N) where N is the number of members asked for")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()]),
        members::smismember,
    ),
    Command::view(
        Spec::new("smove", 4, "Moves a member from one set to another.")
            .group(Group::Set, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::RW, KeyFlags::INSERT]),
            ])
            .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::string("member")]),
        members::smove,
    ),
    Command::view(
        Spec::new("spop", -2, "Removes random members of a set and returns them.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members removed")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").since("3.2.0").optional()]),
        pick::spop,
    ),
    Command::view(
        Spec::new("srandmember", -2, "Returns random members of a set.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members returned")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").since("2.6.0").optional()]),
        pick::srandmember,
    ),
    Command::view(
        Spec::new("srem", -3, "Removes members of a set, and the set with the last one.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members to remove")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()]),
        members::srem,
    ),
    Command::view(
        Spec::new("sscan", -3, "Returns some of the members of a set, and where to go on.")
            .group(Group::Set, "2.8.0")
            .costs("O(1) for a step, O(N) for all of them, where N is the number of members")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("cursor"),
                Argument::pattern("pattern").after("MATCH").optional(),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        members::sscan,
    ),
    Command::view(
        Spec::new("sunion", -2, "Returns the members of all sets.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members of all sets")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SET])
            .tips(&["nondeterministic_output_order"])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0).multiple()]),
        algebra::sunion,
    ),
    Command::view(
        Spec::new("sunionstore", -3, "Stores the members of all sets.")
            .group(Group::Set, "1.0.0")
            .costs("O(N) where N is the number of members of all sets")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::SET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::range(2, -1, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[Argument::key("destination", 0), Argument::key("key", 1).multiple()]),
        algebra::sunionstore,
    ),
];
