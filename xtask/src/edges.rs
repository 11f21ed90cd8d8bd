//! Which crate may use which: the table of ARCHITECTURE.md in a form that can be checked.
//!
//! A crate exists because it must not know something, so an edge that is missing here is a decision, not an oversight.

/// What a crate may use of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MayUse {
    Only(&'static [&'static str]),
    Any,
}

/// One row per crate of the workspace.
pub const OURS: &[(&str, MayUse)] = &[
    ("resp", MayUse::Only(&[])),
    ("lineage", MayUse::Only(&[])),
    ("replication-proto", MayUse::Only(&["lineage"])),
    ("keyspace", MayUse::Only(&[])),
    ("testkit", MayUse::Only(&["keyspace"])),
    ("replog", MayUse::Only(&["lineage"])),
    ("engine", MayUse::Only(&["keyspace", "lineage", "replog"])),
    ("rocks", MayUse::Only(&["keyspace", "lineage", "engine"])),
    ("replication", MayUse::Only(&["resp", "lineage", "replog", "replication-proto", "engine"])),
    ("commands", MayUse::Only(&["resp", "keyspace"])),
    (
        "server",
        MayUse::Only(&["resp", "lineage", "replication-proto", "keyspace", "engine", "replication", "commands"]),
    ),
    ("sim", MayUse::Only(&["resp", "lineage", "replication-proto", "keyspace", "replog", "engine", "commands"])),
    ("haypile", MayUse::Any),
    ("xtask", MayUse::Only(&[])),
];

/// Crates of others that only some of ours may use.
pub const THEIRS: &[(&str, &[&str])] = &[
    ("rust-rocksdb", &["rocks", "haypile"]),
    ("rust-librocksdb-sys", &["rocks"]),
    ("tokio", &["server", "replication"]),
];

/// Crates that are `#![no_std]` and so cannot read a clock or a file.
pub const PURE: &[&str] = &["resp", "lineage", "replication-proto", "keyspace"];

/// Why `user` may not depend on `used`, if it may not.
pub fn objection(user: &str, used: &str) -> Option<String> {
    let row = |name: &str| OURS.iter().find(|(ours, _)| *ours == name).map(|(_, may_use)| *may_use);
    if let Some((_, users)) = THEIRS.iter().find(|(theirs, _)| *theirs == used) {
        let allowed = users.contains(&user);
        return (!allowed).then(|| format!("only {} may use {used}", users.join(", ")));
    }
    match (row(user), row(used)) {
        (None, _) => Some(format!("crate {user} has no row in xtask/src/edges.rs")),
        (Some(MayUse::Only(allowed)), Some(_)) if !allowed.contains(&used) => {
            Some(format!("{user} must not know {used} (xtask/src/edges.rs)"))
        }
        (Some(MayUse::Only(_) | MayUse::Any), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_the_table_pass_and_others_do_not() {
        assert_eq!(objection("engine", "replog"), None);
        assert_eq!(objection("haypile", "rocks"), None);
        assert_eq!(objection("resp", "memchr"), None);
        assert!(objection("commands", "engine").is_some());
        assert!(objection("server", "rocks").is_some());
        assert!(objection("stranger", "memchr").is_some());
    }

    #[test]
    fn crates_of_others_stay_behind_their_walls() {
        assert_eq!(objection("rocks", "rust-rocksdb"), None);
        assert_eq!(objection("server", "tokio"), None);
        assert!(objection("engine", "rust-rocksdb").is_some());
        assert!(objection("haypile", "tokio").is_some());
    }

    #[test]
    fn a_crate_uses_only_crates_above_it_in_the_table() {
        for (at, (name, may_use)) in OURS.iter().enumerate() {
            let MayUse::Only(used) = may_use else {
                continue;
            };
            for used in *used {
                let before = OURS[..at].iter().any(|(earlier, _)| earlier == used);
                assert!(before, "{name} uses {used}, which comes later");
            }
        }
    }
}
