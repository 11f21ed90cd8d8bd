//! The table entries of the commands on one sorted set.

use super::{add, pick, pop, range, read, remove};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("zadd", -4, "Gives scores to members of a sorted set, which is created if need be.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(log(N)) where N is the number of members, for each score given")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::one_of("condition", &[Argument::word("nx", "NX"), Argument::word("xx", "XX")])
                    .optional()
                    .since("3.0.2"),
                Argument::one_of("comparison", &[Argument::word("gt", "GT"), Argument::word("lt", "LT")])
                    .optional()
                    .since("6.2.0"),
                Argument::word("change", "CH").optional().since("3.0.2"),
                Argument::word("increment", "INCR").optional().since("3.0.2"),
                Argument::block("data", &[Argument::double("score"), Argument::string("member")]).multiple(),
            ]),
        add::zadd,
    ),
    Command::view(
        Spec::new("zcard", 2, "Returns the number of members of a sorted set.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(G) where G is the number of groups of 65536 members, at least")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        read::zcard,
    ),
    Command::view(
        Spec::new("zcount", 4, "Counts the members of a sorted set with scores in a range.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(log(N)) where N is the number of members")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::double("min"), Argument::double("max")]),
        read::zcount,
    ),
    Command::view(
        Spec::new("zincrby", 4, "Adds to the score of a member of a sorted set.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(log(N)) where N is the number of members")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("increment"), Argument::string("member")]),
        add::zincrby,
    ),
    Command::view(
        Spec::new("zlexcount", 4, "Counts the members of a sorted set of one score that lie in a range of members.")
            .group(Group::SortedSet, "2.8.9")
            .costs("O(log(N)) where N is the number of members")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::string("min"), Argument::string("max")]),
        read::zlexcount,
    ),
    Command::view(
        Spec::new("zmscore", -3, "Returns the scores of members of a sorted set.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(N) where N is the number of members asked for")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()]),
        read::zmscore,
    ),
    Command::view(
        Spec::new("zpopmax", -2, "Removes and returns the members of a sorted set with the highest scores.")
            .group(Group::SortedSet, "5.0.0")
            .costs("O(log(N)*M) for N members and M popped ones")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").optional()]),
        pop::zpopmax,
    ),
    Command::view(
        Spec::new("zpopmin", -2, "Removes and returns the members of a sorted set with the lowest scores.")
            .group(Group::SortedSet, "5.0.0")
            .costs("O(log(N)*M) for N members and M popped ones")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").optional()]),
        pop::zpopmin,
    ),
    Command::view(
        Spec::new("zrandmember", -2, "Returns members of a sorted set at random.")
            .group(Group::SortedSet, "6.2.0")
            .costs("O(M*log(N)) for N members and M returned ones")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block(
                    "options",
                    &[Argument::integer("count"), Argument::word("withscores", "WITHSCORES").optional()],
                )
                .optional(),
            ]),
        pick::zrandmember,
    ),
    Command::view(
        Spec::new("zrange", -4, "Returns the members of a sorted set in a range of ranks, scores or members.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(log(N)+M) for N members and M returned ones")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("start"),
                Argument::string("stop"),
                Argument::one_of("sortby", &[Argument::word("byscore", "BYSCORE"), Argument::word("bylex", "BYLEX")])
                    .optional()
                    .since("6.2.0"),
                Argument::word("rev", "REV").optional().since("6.2.0"),
                Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                    .after("LIMIT")
                    .optional()
                    .since("6.2.0"),
                Argument::word("withscores", "WITHSCORES").optional(),
            ]),
        range::zrange,
    ),
    Command::view(
        Spec::new("zrangebylex", -4, "Returns the members of a sorted set of one score that lie in a range.")
            .group(Group::SortedSet, "2.8.9")
            .costs("O(log(N)+M) for N members and M returned ones")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("min"),
                Argument::string("max"),
                Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                    .after("LIMIT")
                    .optional(),
            ])
            .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
        range::zrangebylex,
    ),
    Command::view(
        Spec::new("zrangebyscore", -4, "Returns the members of a sorted set with scores in a range.")
            .group(Group::SortedSet, "1.0.5")
            .costs("O(log(N)+M) for N members and M returned ones")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::double("min"),
                Argument::double("max"),
                Argument::word("withscores", "WITHSCORES").optional().since("2.0.0"),
                Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                    .after("LIMIT")
                    .optional(),
            ])
            .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
        range::zrangebyscore,
    ),
    Command::view(
        Spec::new("zrank", -3, "Returns how many members of a sorted set come before a member.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(log(N)) where N is the number of members")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("member"),
                Argument::word("withscore", "WITHSCORE").optional().since("7.2.0"),
            ]),
        read::zrank,
    ),
    Command::view(
        Spec::new("zrem", -3, "Removes members from a sorted set.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(M*log(N)) for N members and M removed ones")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::string("member").multiple()]),
        remove::zrem,
    ),
    Command::view(
        Spec::new("zremrangebylex", 4, "Removes the members of a sorted set of one score that lie in a range.")
            .group(Group::SortedSet, "2.8.9")
            .costs("O(log(N)+M) for N members and M removed ones")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::string("min"), Argument::string("max")]),
        remove::by_member,
    ),
    Command::view(
        Spec::new("zremrangebyrank", 4, "Removes the members of a sorted set in a range of ranks.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(log(N)+M) for N members and M removed ones")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")]),
        remove::by_rank,
    ),
    Command::view(
        Spec::new("zremrangebyscore", 4, "Removes the members of a sorted set with scores in a range.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(log(N)+M) for N members and M removed ones")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::double("min"), Argument::double("max")]),
        remove::by_score,
    ),
    Command::view(
        Spec::new("zrevrange", -4, "Returns the members of a sorted set in a range of ranks, the highest first.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(log(N)+M) for N members and M returned ones")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("start"),
                Argument::integer("stop"),
                Argument::word("withscores", "WITHSCORES").optional(),
            ])
            .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
        range::zrevrange,
    ),
    Command::view(
        Spec::new(
            "zrevrangebylex",
            -4,
            "Returns the members of a sorted set of one score in a range, from the last one back.",
        )
        .group(Group::SortedSet, "2.8.9")
        .costs("O(log(N)+M) for N members and M returned ones")
        .flags(&[Flags::READONLY])
        .categories(&[Categories::SORTEDSET])
        .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::string("max"),
            Argument::string("min"),
            Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                .after("LIMIT")
                .optional(),
        ])
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
        range::zrevrangebylex,
    ),
    Command::view(
        Spec::new(
            "zrevrangebyscore",
            -4,
            "Returns the members of a sorted set with scores in a range, the highest first.",
        )
        .group(Group::SortedSet, "2.2.0")
        .costs("O(log(N)+M) for N members and M returned ones")
        .flags(&[Flags::READONLY])
        .categories(&[Categories::SORTEDSET])
        .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
        .arguments(&[
            Argument::key("key", 0),
            Argument::double("max"),
            Argument::double("min"),
            Argument::word("withscores", "WITHSCORES").optional(),
            Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
                .after("LIMIT")
                .optional(),
        ])
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
        range::zrevrangebyscore,
    ),
    Command::view(
        Spec::new("zrevrank", -3, "Returns how many members of a sorted set come after a member.")
            .group(Group::SortedSet, "2.0.0")
            .costs("O(log(N)) where N is the number of members")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("member"),
                Argument::word("withscore", "WITHSCORE").optional().since("7.2.0"),
            ]),
        read::zrevrank,
    ),
    Command::view(
        Spec::new("zscan", -3, "Goes through the members of a sorted set and their scores step by step.")
            .group(Group::SortedSet, "2.8.0")
            .costs("O(1) a call, O(N) for all of N members")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::SORTEDSET])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("cursor"),
                Argument::pattern("pattern").after("MATCH").optional(),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        pick::zscan,
    ),
    Command::view(
        Spec::new("zscore", 3, "Returns the score of a member of a sorted set.")
            .group(Group::SortedSet, "1.2.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::SORTEDSET])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::string("member")]),
        read::zscore,
    ),
];
