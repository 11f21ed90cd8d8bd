//! The table entries of the commands on fields that expire, which are newer than Redis 7.2.

use super::{deadline, extended};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("hexpire", -6, "Has fields expire so many seconds from now.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
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
                .optional(),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hexpire,
    ),
    Command::view(
        Spec::new("hexpireat", -6, "Has fields expire at a Unix time in seconds.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
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
                .optional(),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hexpireat,
    ),
    Command::view(
        Spec::new("hexpiretime", -5, "Returns the Unix times in seconds when fields expire.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hexpiretime,
    ),
    Command::view(
        Spec::new("hgetdel", -5, "Returns the values of fields and removes them.")
            .group(Group::Hash, "8.0.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        extended::hgetdel,
    ),
    Command::view(
        Spec::new("hgetex", -5, "Returns the values of fields and changes when they expire.")
            .group(Group::Hash, "8.0.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::HASH])
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
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        extended::hgetex,
    ),
    Command::view(
        Spec::new("hpersist", -5, "Has fields never expire.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hpersist,
    ),
    Command::view(
        Spec::new("hpexpire", -6, "Has fields expire so many milliseconds from now.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
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
                .optional(),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hpexpire,
    ),
    Command::view(
        Spec::new("hpexpireat", -6, "Has fields expire at a Unix time in milliseconds.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
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
                .optional(),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hpexpireat,
    ),
    Command::view(
        Spec::new("hpexpiretime", -5, "Returns the Unix times in milliseconds when fields expire.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hpexpiretime,
    ),
    Command::view(
        Spec::new("hpttl", -5, "Returns in how many milliseconds fields expire.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::hpttl,
    ),
    Command::view(
        Spec::new("hsetex", -6, "Sets fields and when they expire.")
            .group(Group::Hash, "8.0.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::HASH])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::one_of("condition", &[Argument::word("fnx", "FNX"), Argument::word("fxx", "FXX")]).optional(),
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
                Argument::block(
                    "fields",
                    &[
                        Argument::integer("numfields"),
                        Argument::block("data", &[Argument::string("field"), Argument::string("value")]).multiple(),
                    ],
                )
                .after("FIELDS"),
            ]),
        extended::hsetex,
    ),
    Command::view(
        Spec::new("httl", -5, "Returns in how many seconds fields expire.")
            .group(Group::Hash, "7.4.0")
            .costs("O(N) where N is the number of fields named")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::HASH])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block("fields", &[Argument::integer("numfields"), Argument::string("field").multiple()])
                    .after("FIELDS"),
            ]),
        deadline::httl,
    ),
];
