//! The table entries of the bitmap commands.

use super::{bits, count};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("bitcount", -2, "Counts the set bits of a string or a part of it.")
            .group(Group::Bitmap, "2.6.0")
            .costs("O(N)")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::BITMAP])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::block(
                    "index",
                    &[
                        Argument::integer("start"),
                        Argument::integer("end"),
                        Argument::one_of("index_unit", &[Argument::word("byte", "BYTE"), Argument::word("bit", "BIT")])
                            .optional()
                            .since("7.0.0"),
                    ],
                )
                .optional(),
            ]),
        count::bitcount,
    ),
    Command::view(
        Spec::new("bitpos", -3, "Finds the first set or clear bit of a string.")
            .group(Group::Bitmap, "2.8.7")
            .costs("O(N)")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::BITMAP])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::integer("bit"),
                Argument::block(
                    "index",
                    &[
                        Argument::integer("start"),
                        Argument::block(
                            "end_index",
                            &[
                                Argument::integer("end"),
                                Argument::one_of(
                                    "index_unit",
                                    &[Argument::word("byte", "BYTE"), Argument::word("bit", "BIT")],
                                )
                                .optional()
                                .since("7.0.0"),
                            ],
                        )
                        .optional(),
                    ],
                )
                .optional(),
            ]),
        count::bitpos,
    ),
    Command::view(
        Spec::new("getbit", 3, "Returns one bit of a string.")
            .group(Group::Bitmap, "2.2.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::BITMAP])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("offset")]),
        bits::getbit,
    ),
    Command::view(
        Spec::new("setbit", 4, "Sets or clears one bit of a string and returns what it was.")
            .group(Group::Bitmap, "2.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::BITMAP])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("offset"), Argument::integer("value")]),
        bits::setbit,
    ),
];
