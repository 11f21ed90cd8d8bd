//! The configuration: every parameter with its value, where it came from, and how it changes.
//!
//! ```text
//!   parameters (declared once) --table's macro--> struct Config + table of rows
//!   file, arguments --load, parse--> Settings { config, .. }
//!   CONFIG GET / SET --here--> rows --value, composite--> fields
//!   CONFIG REWRITE --rewrite--> file            docs: the table as Markdown and as a sample file
//! ```
//!
//! Invariants: a `Config` holds only values that their parameters accept; what `rewrite` writes, `load` reads as the same
//! `Config`; a parameter without effect says so wherever it is shown. The module does not know what a parameter does: the
//! caller acts on the names that `set` returns. It has no globals; who shares a `Config` between threads decides how.

mod composite;
mod docs;
mod foreign;
mod load;
mod parameters;
mod parse;
mod rewrite;
mod table;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

pub use composite::{EventClasses, MemoryShare, OutputLimit, OutputLimits, PrimaryAddress, SavePoint};
pub use docs::{parameters_markdown, sample_conf};
pub use load::{ConfigError, Origin, Settings};
pub use parameters::{Config, PARAMETERS};
pub use parse::words;
pub use rewrite::{RewriteError, rewrite};
pub use table::{Change, Effect, Group, Parameter, Privacy};
pub use value::{AppendFsync, Compression, LogFormat, LogLevel, Permission, Words};

impl Config {
    /// The parameters whose name or alias matches one of `patterns`, in the order of the table, with their values as
    /// `CONFIG GET` shows them: memory in bytes, secrets in clear.
    ///
    /// `matcher` is called with a pattern in lower case and a name.
    pub fn get(&self, patterns: &[&[u8]], matcher: impl Fn(&[u8], &[u8]) -> bool) -> Vec<(&'static str, String)> {
        let patterns: Vec<Vec<u8>> = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        let wanted = |name: &str| patterns.iter().any(|pattern| matcher(pattern, name.as_bytes()));
        let named = PARAMETERS.iter().flat_map(|parameter| parameter.names().map(move |name| (name, parameter)));
        named.filter(|(name, _)| wanted(name)).map(|(name, parameter)| (name, parameter.reply(self))).collect()
    }

    /// Sets all of `pairs` (name or alias, value) or none. Returns the names of the parameters whose value is another one now.
    ///
    /// # Errors
    /// As `CONFIG SET` of Redis 7.
    pub fn set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<Vec<&'static str>, SetError> {
        let rows = settable(pairs)?;
        let mut changed = self.clone();
        for ((parameter, name), (_, value)) in rows.iter().zip(pairs) {
            let text = std::str::from_utf8(value).map_err(|_| parse::NOT_UTF8.to_owned());
            let done = text.and_then(|text| parameter.assign(&mut changed, &[text.to_owned()]));
            done.map_err(|reason| SetError::Refused { name, reason })?;
        }
        let mut names: Vec<&'static str> = Vec::new();
        for (parameter, _) in rows {
            if parameter.line(self) != parameter.line(&changed) && !names.contains(&parameter.name) {
                names.push(parameter.name);
            }
        }
        *self = changed;
        Ok(names)
    }
}

/// The rows of `pairs` with the names that matched, if all may be set now.
fn settable(pairs: &[(&[u8], &[u8])]) -> Result<Vec<(&'static Parameter, &'static str)>, SetError> {
    let mut rows: Vec<(&'static Parameter, &'static str)> = Vec::new();
    for (name, _) in pairs {
        let found = std::str::from_utf8(name).ok().and_then(Parameter::find);
        let (parameter, name) = found.ok_or_else(|| SetError::Unknown(String::from_utf8_lossy(name).into_owned()))?;
        let reason = match parameter.change {
            Change::StartOnly => Some("can't set immutable config"),
            Change::Live if rows.iter().any(|(_, earlier)| *earlier == name) => Some("duplicate parameter"),
            Change::Live => None,
        };
        if let Some(reason) = reason {
            return Err(SetError::Refused { name, reason: reason.to_owned() });
        }
        rows.push((parameter, name));
    }
    Ok(rows)
}

/// Why `CONFIG SET` set nothing. Displays as the whole reply, from `ERR` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such parameter.
    Unknown(String),
    /// The parameter cannot have this value, or not now.
    Refused {
        /// The name or alias.
        name: &'static str,
        /// Why, in Redis's words.
        reason: String,
    },
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A reply is one line, whatever a client sends as a name.
            Self::Unknown(name) => {
                let name = name.replace(['\r', '\n'], " ");
                write!(f, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            Self::Refused { name, reason } => {
                write!(f, "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            }
        }
    }
}

impl std::error::Error for SetError {}

/// By the table, so that a secret cannot slip into a log.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |parameter: &Parameter| match parameter.privacy {
            Privacy::Open => parameter.reply(self),
            Privacy::Secret => "(not shown)".to_owned(),
        };
        f.debug_map().entries(PARAMETERS.iter().map(|parameter| (parameter.name, value(parameter)))).finish()
    }
}
