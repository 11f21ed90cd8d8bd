//! The table entries of SORT and SORT_RO.

use super::{sort, sort_keys, sort_ro};
use crate::spec::{Argument, Categories, Command, Flags, Group, KeyFlags, KeySpec, Spec};

const COST: &str = "O(N+M*log(M)) where N is the number of elements and M the number of those returned";
const CATEGORIES: &[Categories] = &[Categories::SET, Categories::SORTEDSET, Categories::LIST, Categories::DANGEROUS];
const SORTED: KeySpec = KeySpec::one(1, &[KeyFlags::RO, KeyFlags::ACCESS]);
/// The keys of patterns follow from the elements.
const OF_PATTERNS: KeySpec = KeySpec::unknown(&[KeyFlags::RO, KeyFlags::ACCESS]);

const KEY: Argument = Argument::key("key", 0);
const BY: Argument = Argument::pattern("by-pattern").after("BY").optional();
const LIMIT: Argument =
    Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")]).after("LIMIT").optional();
const GET: Argument = Argument::pattern("get-pattern").after("GET").optional().multiple_token();
const ORDER: Argument =
    Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")]).optional();
const ALPHA: Argument = Argument::word("sorting", "ALPHA").optional();

/// The commands, in the order of the documentation.
pub(crate) const COMMANDS: &[Command] = &[
    Command::view(
        Spec::new("sort", -2, "Returns the elements of a list, set or sorted set in order, or stores them.")
            .group(Group::Generic, "1.0.0")
            .costs(COST)
            .flags(&[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLEKEYS])
            .categories(CATEGORIES)
            .keys(&[SORTED, OF_PATTERNS, KeySpec::unknown(&[KeyFlags::OW, KeyFlags::UPDATE])])
            .arguments(&[KEY, BY, LIMIT, GET, ORDER, ALPHA, Argument::key("destination", 2).after("STORE").optional()]),
        sort,
    )
    .other_database(sort_keys),
    Command::view(
        Spec::new("sort_ro", -2, "Returns the elements of a list, set or sorted set in order.")
            .group(Group::Generic, "7.0.0")
            .costs(COST)
            .flags(&[Flags::READONLY, Flags::MOVABLEKEYS])
            .categories(CATEGORIES)
            .keys(&[SORTED, OF_PATTERNS])
            .arguments(&[KEY, BY, LIMIT, GET, ORDER, ALPHA]),
        sort_ro,
    ),
];
