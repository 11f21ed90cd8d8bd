//! The table entries of the commands on several sorted sets, or on one for another's sake.

use super::{algebra, pop, range};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("bzmpop", -5, "Removes members from the first sorted set that has some, or waits for one.")
            .group(Group::SortedSet, "7.0.0")
            .costs("O(K)+O(M*log(N)) for K keys, N members and M popped ones")
            .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[
                Argument::double("timeout"),
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        pop::bzmpop,
    ),
    Command::view(
        Spec::new(
            "bzpopmax",
            -3,
            "Removes the member with the highest score from the first sorted set that has one, or waits.",
        )
        .group(Group::SortedSet, "5.0.0")
        .costs("O(log(N)) where N is the number of members")
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST])
        .categories(&[Categories::SORTEDSET])
        .keys(&[KeySpec::range(1, -2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")]),
        pop::bzpopmax,
    ),
    Command::view(
        Spec::new(
            "bzpopmin",
            -3,
            "Removes the member with the lowest score from the first sorted set that has one, or waits.",
        )
        .group(Group::SortedSet, "5.0.0")
        .costs("O(log(N)) where N is the number of members")
        .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::FAST])
        .categories(&[Categories::SORTEDSET])
        .keys(&[KeySpec::range(1, -2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")]),
        pop::bzpopmin,
    ),
    Command::view(
        Spec::new("zdiff", -3, "Returns the members of a sorted set that others do not have.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(N*K+M*log(M)) for K inputs, N members in the first and M in the result")
            .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::word("withscores", "WITHSCORES").optional(),
            ]),
        algebra::zdiff,
    ),
    Command::view(
        Spec::new("zdiffstore", -4, "Stores the members of a sorted set that others do not have.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(N*K+M*log(M)) for K inputs, N members in the first and M in the result")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::counted(2, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[
                Argument::key("destination", 0),
                Argument::integer("numkeys"),
                Argument::key("key", 1).multiple(),
            ]),
        algebra::zdiffstore,
    ),
    Command::view(
        Spec::new("zinter", -3, "Returns the members that several sorted sets have in common.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(N*K+M*log(M)) for K inputs, N members in the smallest and M in the result")
            .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::integer("weight").after("WEIGHTS").optional().multiple(),
                Argument::one_of(
                    "aggregate",
                    &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
                )
                .after("AGGREGATE")
                .optional(),
                Argument::word("withscores", "WITHSCORES").optional(),
            ]),
        algebra::zinter,
    ),
    Command::view(
        Spec::new("zintercard", -3, "Counts the members that several sorted sets have in common.")
            .group(Group::SortedSet, "7.0.0")
            .costs("O(N*K) for K inputs and N members in the smallest")
            .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::integer("limit").after("LIMIT").optional(),
            ]),
        algebra::zintercard,
    ),
    Command::view(
        Spec::new("zinterstore", -4, "Stores the members that several sorted sets have in common.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(N*K+M*log(M)) for K inputs, N members in the smallest and M in the result")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::counted(2, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[
                Argument::key("destination", 0),
                Argument::integer("numkeys"),
                Argument::key("key", 1).multiple(),
                Argument::integer("weight").after("WEIGHTS").optional().multiple(),
                Argument::one_of(
                    "aggregate",
                    &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
                )
                .after("AGGREGATE")
                .optional(),
            ]),
        algebra::zinterstore,
    ),
    Command::view(
        Spec::new("zmpop", -4, "Removes members from the first sorted set that has some and returns them.")
            .group(Group::SortedSet, "7.0.0")
            .costs("O(K)+O(M*log(N)) for K keys, N members and M popped ones")
            .flags(&[Flags::WRITE, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::one_of("where", &[Argument::word("min", "MIN"), Argument::word("max", "MAX")]),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        pop::zmpop,
    ),
    Command::view(
        Spec::new("zrangestore", -5, "Stores the members of a sorted set in a range of ranks, scores or members.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(log(N)+M) for N members and M stored ones")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::SORTEDSET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::one(2, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[
                Argument::key("dst", 0),
                Argument::key("src", 1),
                Argument::string("min"),
                Argument::string("max"),
                Argument::one_of("sortby", &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")])
                    .optional(),
                Argument::word("rev", "REV").optional(),
                Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                    .after("LIMIT")
                    .optional(),
            ]),
        range::zrangestore,
    ),
    Command::view(
        Spec::new("zunion", -3, "Returns the members that any of several sorted sets has.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(N+M*log(M)) for N members in all inputs and M in the result")
            .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::integer("weight").after("WEIGHTS").optional().multiple(),
                Argument::one_of(
                    "aggregate",
                    &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
                )
                .after("AGGREGATE")
                .optional(),
                Argument::word("withscores", "WITHSCORES").optional(),
            ]),
        algebra::zunion,
    ),
    Command::view(
        Spec::new("zunionstore", -4, "Stores the members that any of several sorted sets has.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(N+M*log(M)) for N members in all inputs and M in the result")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
            .categories(&[Categories::SORTEDSET])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::OW, KeyFlags::UPDATE]),
                KeySpec::counted(2, 1, &[KeyFlags::RO, KeyFlags::ACCESS]),
            ])
            .arguments(&[
                Argument::key("destination", 0),
                Argument::integer("numkeys"),
                Argument::key("key", 1).multiple(),
                Argument::integer("weight").after("WEIGHTS").optional().multiple(),
                Argument::one_of(
                    "aggregate",
                    &[Argument::word("sum", "SUM"), Argument::word("min", "MIN"), Argument::word("max", "MAX")],
                )
                .after("AGGREGATE")
                .optional(),
            ]),
        algebra::zunionstore,
    ),
];
