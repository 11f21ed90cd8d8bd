//! How a parameter is declared, and what the declaration makes of it: a field of `Config` and a row of the table.
//!
//! A declaration reads `/// help`, then `name: type [rule] = default, marks;`. The name in the configuration is the name of
//! the field with dashes; the rule (a range, a set of names) is there when the type does not say everything; the marks
//! are the `const` methods of `Parameter` below.

use super::Config;
use super::value::{Form, WRONG_NUMBER, Words};

/// What a parameter is about; the chapters of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Addresses, ports, connections.
    Network,
    /// Who may do what.
    Security,
    /// Process, threads, folders.
    Process,
    /// The budget and what is done with it.
    Memory,
    /// The log, and what makes a write durable.
    Durability,
    /// The store.
    Storage,
    /// When collections change their encoding.
    Encoding,
    /// What one client may use.
    Clients,
    /// Logging, latency, events.
    Monitoring,
    /// Primary and replicas.
    Replication,
    /// What only Redis needs.
    Compatibility,
}

impl Group {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Network,
        Self::Security,
        Self::Process,
        Self::Memory,
        Self::Durability,
        Self::Storage,
        Self::Encoding,
        Self::Clients,
        Self::Monitoring,
        Self::Replication,
        Self::Compatibility,
    ];

    /// The heading in the documentation.
    pub fn title(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Security => "Security",
            Self::Process => "Process",
            Self::Memory => "Memory",
            Self::Durability => "Durability",
            Self::Storage => "Storage",
            Self::Encoding => "Encodings",
            Self::Clients => "Clients",
            Self::Monitoring => "Logs and monitoring",
            Self::Replication => "Replication",
            Self::Compatibility => "Compatibility with Redis",
        }
    }
}

/// When a parameter can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At any time, by `CONFIG SET`.
    Live,
    /// Only at start; `CONFIG SET` refuses.
    StartOnly,
}

/// Whether a parameter does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Full,
    /// It is accepted and remembered so that an existing redis.conf starts, and does nothing.
    NoEffect,
}

/// Who may see a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Everybody.
    Open,
    /// Only who asks with `CONFIG GET`: it must not appear in logs, errors, MONITOR or SLOWLOG.
    Secret,
}

/// One row of the table.
#[derive(Debug)]
pub struct Parameter {
    /// The name in lower case.
    pub name: &'static str,
    /// An older name of Redis, still accepted and still answered by `CONFIG GET`.
    pub alias: Option<&'static str>,
    /// The chapter.
    pub group: Group,
    /// When it can change.
    pub change: Change,
    /// Whether it does something.
    pub effect: Effect,
    /// Who may see it.
    pub privacy: Privacy,
    /// How many words it takes.
    pub words: Words,
    help: &'static str,
    describe: fn() -> String,
    read: fn(&Config, Form) -> Vec<String>,
    write: fn(&mut Config, &[String]) -> Result<(), String>,
}

impl Parameter {
    /// The row of a name or an alias, in any case, and the name that matched, in lower case.
    pub fn find(name: &str) -> Option<(&'static Self, &'static str)> {
        let rows = super::PARAMETERS.iter();
        let mut names = rows.flat_map(|parameter| parameter.names().map(move |known| (parameter, known)));
        names.find(|(_, known)| known.eq_ignore_ascii_case(name))
    }

    /// The name, then the alias.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.name), self.alias].into_iter().flatten()
    }

    /// What it is for.
    pub fn help(&self) -> &'static str {
        self.help.trim_ascii_start()
    }

    /// The values that are accepted.
    pub fn accepts(&self) -> String {
        (self.describe)()
    }

    /// The value as the words of a file's line.
    pub fn line(&self, config: &Config) -> Vec<String> {
        (self.read)(config, Form::File)
    }

    /// The value as `CONFIG GET` shows it.
    pub fn reply(&self, config: &Config) -> String {
        (self.read)(config, Form::Reply).join(" ")
    }

    /// Sets the value. The error is the reason; then the parameter's field is as good as lost.
    pub fn assign(&self, config: &mut Config, words: &[String]) -> Result<(), String> {
        if words.is_empty() {
            return Err(WRONG_NUMBER.to_owned());
        }
        match self.words {
            Words::One => (self.write)(config, words),
            Words::List | Words::Growing => {
                let mut split: Vec<String> =
                    words.iter().flat_map(|word| word.split_ascii_whitespace()).map(str::to_owned).collect();
                if split.is_empty() {
                    split.push(String::new());
                }
                (self.write)(config, &split)
            }
        }
    }

    pub(super) const fn new(
        name: &'static str,
        group: Group,
        help: &'static str,
        words: Words,
        describe: fn() -> String,
        read: fn(&Config, Form) -> Vec<String>,
        write: fn(&mut Config, &[String]) -> Result<(), String>,
    ) -> Self {
        let (change, effect, privacy) = (Change::Live, Effect::Full, Privacy::Open);
        Self { name, alias: None, group, change, effect, privacy, words, help, describe, read, write }
    }

    pub(super) const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    pub(super) const fn start_only(self) -> Self {
        Self { change: Change::StartOnly, ..self }
    }

    pub(super) const fn no_effect(self) -> Self {
        Self { effect: Effect::NoEffect, ..self }
    }

    pub(super) const fn secret(self) -> Self {
        Self { privacy: Privacy::Secret, ..self }
    }
}

/// The name in the configuration of a field: dashes for underscores.
pub(super) const fn dashed<const N: usize>(field: &str) -> [u8; N] {
    let mut name = [0; N];
    let mut at = 0;
    while at < N {
        let byte = field.as_bytes()[at];
        name[at] = if byte == b'_' { b'-' } else { byte };
        at += 1;
    }
    name
}

/// Makes `Config` and `PARAMETERS` of declarations.
macro_rules! parameters {
    (@rule) => { () };
    (@rule $rule:expr) => { $rule };
    (@name $field:ident) => {{
        const NAME: [u8; stringify!($field).len()] = $crate::config::table::dashed(stringify!($field));
        match ::std::str::from_utf8(&NAME) {
            Ok(name) => name,
            Err(_) => panic!("a field's name is not ASCII"),
        }
    }};
    ($([$group:ident] $(
        $(#[doc = $help:literal])+
        $field:ident: $type:ty $([$rule:expr])? = $default:expr $(, $mark:ident $(($argument:literal))?)*;
    )+)+) => {
        /// The value of every parameter. Cheap to read: one typed field each, which hot code reads directly.
        #[derive(Clone, PartialEq)]
        pub struct Config {
            $($($(#[doc = $help])+ pub $field: $type,)+)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($($field: $default,)+)+ }
            }
        }

        /// The table of parameters.
        pub static PARAMETERS: &[Parameter] = &[$($(
            Parameter::new(
                parameters!(@name $field),
                Group::$group,
                concat!($($help),+),
                <$type as Field>::WORDS,
                || <$type as Field>::describe(&parameters!(@rule $($rule)?)),
                |config, form| Field::words(&config.$field, &parameters!(@rule $($rule)?), form),
                |config, words| Field::assign(&mut config.$field, &parameters!(@rule $($rule)?), words),
            )$(.$mark($($argument)?))*,
        )+)+];
    };
}
pub(super) use parameters;
