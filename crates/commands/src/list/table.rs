//! The table entries of the list commands.

use super::{blocking, edit, ends, read, transfer};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

const ENDS: &[Argument] = &[Argument::word("left", "LEFT"), Argument::word("right", "RIGHT")];

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("blmove", 6, "Moves an element from one list to another; waits until there is one.")
            .group(Group::List, "6.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
            .categories(&[Categories::LIST])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::RW, KeyFlags::INSERT]),
            ])
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::one_of("wherefrom", ENDS),
                Argument::one_of("whereto", ENDS),
                Argument::double("timeout"),
            ]),
        blocking::blmove,
    ),
    Command::view(
        Spec::new("blmpop", -5, "Pops elements from the first of several lists that has any; waits until one has.")
            .group(Group::List, "7.0.0")
            .costs("O(N+M) where N is the number of keys and M the number of elements returned")
            .flags(&[Flags::WRITE, Flags::BLOCKING, Flags::MOVABLEKEYS])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::counted(2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[
                Argument::double("timeout"),
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::one_of("where", ENDS),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        blocking::blmpop,
    ),
    Command::view(
        Spec::new(
            "blpop",
            -3,
            "Pops the first element of the first of several lists that has any; waits until one has.",
        )
        .group(Group::List, "2.0.0")
        .costs("O(N) where N is the number of keys")
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .categories(&[Categories::LIST])
        .keys(&[KeySpec::range(1, -2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")]),
        blocking::blpop,
    ),
    Command::view(
        Spec::new(
            "brpop",
            -3,
            "Pops the last element of the first of several lists that has any; waits until one has.",
        )
        .group(Group::List, "2.0.0")
        .costs("O(N) where N is the number of keys")
        .flags(&[Flags::WRITE, Flags::BLOCKING])
        .categories(&[Categories::LIST])
        .keys(&[KeySpec::range(1, -2, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
        .arguments(&[Argument::key("key", 0).multiple(), Argument::double("timeout")]),
        blocking::brpop,
    ),
    Command::view(
        Spec::new(
            "brpoplpush",
            4,
            "Moves the last element of a list to the front of another; waits until there is one.",
        )
        .group(Group::List, "2.2.0")
        .costs("O(1)")
        .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::BLOCKING])
        .categories(&[Categories::LIST])
        .keys(&[
            KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
            KeySpec::one(2, &[KeyFlags::RW, KeyFlags::INSERT]),
        ])
        .arguments(&[Argument::key("source", 0), Argument::key("destination", 1), Argument::double("timeout")])
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
        blocking::brpoplpush,
    ),
    Command::view(
        Spec::new("lindex", 3, "Returns an element by its index.")
            .group(Group::List, "1.0.0")
            .costs("O(log N)")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("index")]),
        read::lindex,
    ),
    Command::view(
        Spec::new("linsert", 5, "Inserts an element before or after another one.")
            .group(Group::List, "2.2.0")
            .costs("O(N) where N is the number of elements up to the other one")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::one_of("where", &[Argument::word("before", "BEFORE"), Argument::word("after", "AFTER")]),
                Argument::string("pivot"),
                Argument::string("element"),
            ]),
        edit::linsert,
    ),
    Command::view(
        Spec::new("llen", 2, "Returns the number of elements.")
            .group(Group::List, "1.0.0")
            .costs("O(1)")
            .flags(&[Flags::READONLY, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0)]),
        ends::llen,
    ),
    Command::view(
        Spec::new("lmove", 5, "Moves an element from one list to another.")
            .group(Group::List, "6.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::LIST])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::RW, KeyFlags::INSERT]),
            ])
            .arguments(&[
                Argument::key("source", 0),
                Argument::key("destination", 1),
                Argument::one_of("wherefrom", ENDS),
                Argument::one_of("whereto", ENDS),
            ]),
        transfer::lmove,
    ),
    Command::view(
        Spec::new("lmpop", -4, "Pops elements from the first of several lists that has any.")
            .group(Group::List, "7.0.0")
            .costs("O(N+M) where N is the number of keys and M the number of elements returned")
            .flags(&[Flags::WRITE, Flags::MOVABLEKEYS])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::counted(1, 1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[
                Argument::integer("numkeys"),
                Argument::key("key", 0).multiple(),
                Argument::one_of("where", ENDS),
                Argument::integer("count").after("COUNT").optional(),
            ]),
        transfer::lmpop,
    ),
    Command::view(
        Spec::new("lpop", -2, "Pops the first element, or the first ones.")
            .group(Group::List, "1.0.0")
            .costs("O(N) where N is the number of elements returned")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").optional().since("6.2.0")]),
        ends::lpop,
    ),
    Command::view(
        Spec::new("lpos", -3, "Returns the index of elements that equal one.")
            .group(Group::List, "6.0.6")
            .costs("O(N) where N is the number of elements looked at")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[
                Argument::key("key", 0),
                Argument::string("element"),
                Argument::integer("rank").after("RANK").optional(),
                Argument::integer("num-matches").after("COUNT").optional(),
                Argument::integer("len").after("MAXLEN").optional(),
            ]),
        read::lpos,
    ),
    Command::view(
        Spec::new("lpush", -3, "Puts elements in front of the others of a list, which is created if need be.")
            .group(Group::List, "1.0.0")
            .costs("O(N) where N is the number of new elements")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()]),
        ends::lpush,
    ),
    Command::view(
        Spec::new("lpushx", -3, "Puts elements in front of the others of a list if there is one.")
            .group(Group::List, "2.2.0")
            .costs("O(N) where N is the number of new elements")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()]),
        ends::lpushx,
    ),
    Command::view(
        Spec::new("lrange", 4, "Returns a range of elements.")
            .group(Group::List, "1.0.0")
            .costs("O(log N + M) where M is the number of elements returned")
            .flags(&[Flags::READONLY])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS])])
            .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")]),
        read::lrange,
    ),
    Command::view(
        Spec::new("lrem", 4, "Removes elements that equal one.")
            .group(Group::List, "1.0.0")
            .costs("O(N+M) where N is the length and M the number of elements removed")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count"), Argument::string("element")]),
        edit::lrem,
    ),
    Command::view(
        Spec::new("lset", 4, "Sets an element by its index.")
            .group(Group::List, "1.0.0")
            .costs("O(log N)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::UPDATE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("index"), Argument::string("element")]),
        edit::lset,
    ),
    Command::view(
        Spec::new("ltrim", 4, "Removes all elements but a range of them.")
            .group(Group::List, "1.0.0")
            .costs("O(log N)")
            .flags(&[Flags::WRITE])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("start"), Argument::integer("stop")]),
        edit::ltrim,
    ),
    Command::view(
        Spec::new("rpop", -2, "Pops the last element, or the last ones.")
            .group(Group::List, "1.0.0")
            .costs("O(N) where N is the number of elements returned")
            .flags(&[Flags::WRITE, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE])])
            .arguments(&[Argument::key("key", 0), Argument::integer("count").optional().since("6.2.0")]),
        ends::rpop,
    ),
    Command::view(
        Spec::new("rpoplpush", 3, "Moves the last element of a list to the front of another.")
            .group(Group::List, "1.2.0")
            .costs("O(1)")
            .flags(&[Flags::WRITE, Flags::DENYOOM])
            .categories(&[Categories::LIST])
            .keys(&[
                KeySpec::one(1, &[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::DELETE]),
                KeySpec::one(2, &[KeyFlags::RW, KeyFlags::INSERT]),
            ])
            .arguments(&[Argument::key("source", 0), Argument::key("destination", 1)])
            .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
        transfer::rpoplpush,
    ),
    Command::view(
        Spec::new("rpush", -3, "Puts elements behind the others of a list, which is created if need be.")
            .group(Group::List, "1.0.0")
            .costs("O(N) where N is the number of new elements")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()]),
        ends::rpush,
    ),
    Command::view(
        Spec::new("rpushx", -3, "Puts elements behind the others of a list if there is one.")
            .group(Group::List, "2.2.0")
            .costs("O(N) where N is the number of new elements")
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::FAST])
            .categories(&[Categories::LIST])
            .keys(&[KeySpec::one(1, &[KeyFlags::RW, KeyFlags::INSERT])])
            .arguments(&[Argument::key("key", 0), Argument::string("element").multiple()]),
        ends::rpushx,
    ),
];
