//! A command as data: what `COMMAND`, ACL, the router and the documentation know of it.
//!
//! Names of flags, categories, key flags and argument types are Redis's, as `COMMAND INFO` and `COMMAND DOCS` print
//! them.

mod argument;
mod key_spec;
mod words;

pub use argument::{Argument, ArgumentKind, Need, Repeat};
pub use key_spec::{Begin, Find, KeySpec};
pub use words::{Categories, Flags, KeyFlags};

use crate::args::Args;
use crate::context::Context;
use crate::error::Error;
use crate::key_refs::KeyRef;

/// An entry of the table: a [`Spec`], and how it runs.
#[derive(Clone, Copy)]
pub struct Command {
    /// What is known of it.
    pub spec: Spec,
    /// Who runs it.
    pub run: Run,
    /// What a run may touch.
    pub scope: Scope,
    /// Where its keys lie, beyond what [`Spec::keys`] can say.
    pub other_database: Option<OtherDatabase>,
    /// The commands inside a container.
    pub subcommands: &'static [Command],
}

/// The code of a command that works on keys.
pub type ViewFn = fn(&mut Context<'_>, Args<'_>) -> Result<(), Error>;

/// Lists the keys of a command that reaches into another database than the selected one (the second argument).
pub type OtherDatabase = fn(Args<'_>, usize, &mut Vec<KeyRef>);

/// Who runs a command.
#[derive(Clone, Copy)]
pub enum Run {
    /// This function, on a view.
    View(ViewFn),
    /// The session: it is about the connection or the server.
    Session,
    /// Nobody: one of its subcommands is run.
    Container,
}

/// What a run may touch, and so what is locked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The keys that [`crate::keys`] lists; none, perhaps.
    Keys,
    /// Any record of the selected database, without a lock, by walking and counting only.
    Walk,
    /// All of the selected database, locked.
    Shard,
    /// All of every database, locked.
    AllShards,
}

/// What is known of a command.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// In lower case; of a subcommand, without its container.
    pub name: &'static str,
    /// The name of the container it is a subcommand of.
    pub container: Option<&'static str>,
    /// One sentence.
    pub summary: &'static str,
    /// The version of Redis that had it first.
    pub since: &'static str,
    /// Where the documentation lists it.
    pub group: Group,
    /// Its cost, in words; empty when there is nothing to say.
    pub complexity: &'static str,
    /// Number of arguments, names included; negative: at least as many.
    pub arity: i32,
    /// What it does, in Redis's terms.
    pub flags: Flags,
    /// ACL categories that do not follow from the flags.
    pub categories: Categories,
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// The arguments after the name.
    pub arguments: &'static [Argument],
    /// Since when one should use something else, and what.
    pub deprecated: Option<Deprecated>,
}

/// Advice not to use a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// The version of Redis that said so first.
    pub since: &'static str,
    /// What to use.
    pub replaced_by: &'static str,
}

impl Spec {
    /// A command with nothing but a name, an arity and a sentence.
    #[must_use]
    pub const fn new(name: &'static str, arity: i32, summary: &'static str) -> Self {
        Self {
            name,
            container: None,
            summary,
            since: "",
            group: Group::Generic,
            complexity: "",
            arity,
            flags: Flags::NONE,
            categories: Categories::NONE,
            tips: &[],
            keys: &[],
            arguments: &[],
            deprecated: None,
        }
    }

    /// Makes it a subcommand.
    #[must_use]
    pub const fn within(mut self, container: &'static str) -> Self {
        self.container = Some(container);
        self
    }

    /// Sets the group and the first version.
    #[must_use]
    pub const fn group(mut self, group: Group, since: &'static str) -> Self {
        self.group = group;
        self.since = since;
        self
    }

    /// Sets the cost.
    #[must_use]
    pub const fn costs(mut self, complexity: &'static str) -> Self {
        self.complexity = complexity;
        self
    }

    /// Sets the flags.
    #[must_use]
    pub const fn flags(mut self, flags: &[Flags]) -> Self {
        self.flags = Flags::all_of(flags);
        self
    }

    /// Sets the categories that do not follow from the flags.
    #[must_use]
    pub const fn categories(mut self, categories: &[Categories]) -> Self {
        self.categories = Categories::all_of(categories);
        self
    }

    /// Sets the hints for clients.
    #[must_use]
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Sets where the keys are.
    #[must_use]
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the arguments.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }

    /// Advises against it.
    #[must_use]
    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.deprecated = Some(Deprecated { since, replaced_by });
        self
    }

    /// `name`, or `container|name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.container {
            None => self.name.to_owned(),
            Some(container) => format!("{container}|{}", self.name),
        }
    }

    /// Whether a command line of `count` arguments, the names included, fits the arity.
    #[inline]
    #[must_use]
    pub const fn takes(&self, count: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= needed } else { count == needed }
    }

    /// All ACL categories, those that follow from the flags included.
    #[must_use]
    pub const fn all_categories(&self) -> Categories {
        let flags = self.flags;
        let mut all = self.categories;
        if flags.has(Flags::WRITE) {
            all = all.with(Categories::WRITE);
        }
        if flags.has(Flags::READONLY) && !self.categories.has(Categories::SCRIPTING) {
            all = all.with(Categories::READ);
        }
        if flags.has(Flags::ADMIN) {
            all = all.with(Categories::ADMIN).with(Categories::DANGEROUS);
        }
        if flags.has(Flags::PUBSUB) {
            all = all.with(Categories::PUBSUB);
        }
        if flags.has(Flags::BLOCKING) {
            all = all.with(Categories::BLOCKING);
        }
        all.with(if flags.has(Flags::FAST) { Categories::FAST } else { Categories::SLOW })
    }

    /// Redis's old way to say where keys are: first, last and step, of the specs that are plain ranges.
    #[must_use]
    pub fn key_range(&self) -> (i32, i32, i32) {
        let mut range: Option<(i32, i32, i32)> = None;
        for key in self.keys {
            let (Begin::Index(first), Find::Range { last, step, .. }) = (key.begin, key.find) else { continue };
            let first = first as i32;
            let last = if last >= 0 { first + last } else { last };
            range = Some(match range {
                None => (first, last, step as i32),
                Some((old_first, old_last, old_step)) if old_last >= 0 => {
                    (old_first, if last < 0 { last } else { old_last.max(last) }, old_step)
                }
                Some(old) => old,
            });
        }
        range.unwrap_or_default()
    }
}

impl Command {
    /// A command that works on the keys its spec names.
    #[must_use]
    pub const fn view(spec: Spec, run: ViewFn) -> Self {
        Self { spec, run: Run::View(run), scope: Scope::Keys, other_database: None, subcommands: &[] }
    }

    /// A command of the session.
    #[must_use]
    pub const fn session(spec: Spec) -> Self {
        Self { spec, run: Run::Session, scope: Scope::Keys, other_database: None, subcommands: &[] }
    }

    /// A command that is nothing without a subcommand.
    #[must_use]
    pub const fn container(spec: Spec, subcommands: &'static [Self]) -> Self {
        Self { spec, run: Run::Container, scope: Scope::Keys, other_database: None, subcommands }
    }

    /// A command of the session that has subcommands, and a meaning of its own without one.
    #[must_use]
    pub const fn session_container(spec: Spec, subcommands: &'static [Self]) -> Self {
        Self { spec, run: Run::Session, scope: Scope::Keys, other_database: None, subcommands }
    }

    /// Widens what a run may touch.
    #[must_use]
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Has this function list its keys.
    #[must_use]
    pub const fn other_database(mut self, list: OtherDatabase) -> Self {
        self.other_database = Some(list);
        self
    }

    /// The subcommand of that name, in any case.
    #[must_use]
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Self> {
        self.subcommands.iter().find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

impl core::fmt::Debug for Command {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.spec.full_name())
    }
}

/// Where the documentation lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Any key.
    Generic,
    /// Strings.
    String,
    /// Bitmaps.
    Bitmap,
    /// Lists.
    List,
    /// Hashes.
    Hash,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// The connection.
    Connection,
    /// Several commands as one.
    Transactions,
    /// The server.
    Server,
}

impl Group {
    /// Redis's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Connection => "connection",
            Self::Transactions => "transactions",
            Self::Server => "server",
        }
    }
}
