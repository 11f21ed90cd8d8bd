//! Commands of transactions; the session runs them.

use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

const FLAGS: &[Flags] = &[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::FAST, Flags::ALLOW_BUSY];

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::session(
        Spec::new("multi", 1, "Begins a transaction: what follows is queued until EXEC.")
            .group(Group::Transactions, "1.2.0")
            .costs("O(1)")
            .flags(FLAGS)
            .categories(&[Categories::TRANSACTION]),
    ),
    Command::session(
        Spec::new("exec", 1, "Runs the queued commands as one.")
            .group(Group::Transactions, "1.2.0")
            .costs("Depends on the commands in the transaction")
            .flags(&[Flags::NOSCRIPT, Flags::LOADING, Flags::STALE, Flags::SKIP_SLOWLOG])
            .categories(&[Categories::TRANSACTION]),
    ),
    Command::session(
        Spec::new("discard", 1, "Forgets the queued commands and ends the transaction.")
            .group(Group::Transactions, "2.0.0")
            .costs("O(N) where N is the number of queued commands")
            .flags(FLAGS)
            .categories(&[Categories::TRANSACTION]),
    ),
    Command::session(
        Spec::new("watch", -2, "Has the next EXEC do nothing if one of the keys is changed before it.")
            .group(Group::Transactions, "2.2.0")
            .costs("O(1) for each key")
            .flags(FLAGS)
            .categories(&[Categories::TRANSACTION])
            .keys(&[KeySpec::range(1, -1, 1, &[KeyFlags::RO])])
            .arguments(&[Argument::key("key", 0).multiple()]),
    ),
    Command::session(
        Spec::new("unwatch", 1, "Forgets the watched keys.")
            .group(Group::Transactions, "2.2.0")
            .costs("O(1)")
            .flags(FLAGS)
            .categories(&[Categories::TRANSACTION]),
    ),
];
