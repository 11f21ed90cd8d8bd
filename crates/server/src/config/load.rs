//! The configuration at start: a file, the files that it includes, then the arguments; later ones win.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use super::foreign::{Foreign, foreign};
use super::parse::{join_words, split_words};
use super::table::{Effect, Parameter, Privacy};
use super::value::{WRONG_NUMBER, Words};

/// How deep files may include each other.
const MAX_INCLUDE_DEPTH: usize = 16;

/// What a start was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The value of every parameter.
    pub config: Config,
    /// The file, absolute, for `CONFIG REWRITE`.
    pub file: Option<PathBuf>,
    /// Where each parameter that was set got its value, by name.
    pub origins: BTreeMap<&'static str, Origin>,
    /// What the operator should know, to be logged once.
    pub warnings: Vec<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from 1.
    Line(PathBuf, usize),
    /// The command line.
    Arguments,
}

/// Why a start is refused. Displays as Redis's message does.
#[derive(Debug)]
pub enum ConfigError {
    /// What a file or the arguments say is wrong.
    Wrong {
        /// Where it stands.
        origin: Origin,
        /// The line; the value of a secret parameter is left out.
        line: String,
        /// Why it is wrong.
        reason: String,
    },
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Settings {
    /// Reads `file`, then `args`: `--name value value --name ..`, without the name of the program and the file.
    ///
    /// # Errors
    /// A file that cannot be read; a line or argument that is not understood.
    pub fn load(file: Option<&Path>, args: &[String]) -> Result<Self, ConfigError> {
        let mut settings = Self::empty();
        if let Some(file) = file {
            let unreadable = |error| ConfigError::Unreadable { file: file.to_owned(), error };
            settings.file = Some(std::path::absolute(file).map_err(unreadable)?);
            settings.include(file, 0)?;
        }
        settings.take_arguments(args)?;
        settings.warn_of_no_effect();
        Ok(settings)
    }

    /// What `text` would set as the content of `file`, without arguments.
    pub(super) fn of_text(file: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        let mut settings = Self::empty();
        settings.take_text(file, text, 0)?;
        Ok(settings)
    }

    fn empty() -> Self {
        Self { config: Config::default(), file: None, origins: BTreeMap::new(), warnings: Vec::new() }
    }

    fn include(&mut self, file: &Path, depth: usize) -> Result<(), ConfigError> {
        let text = std::fs::read(file).map_err(|error| ConfigError::Unreadable { file: file.to_owned(), error })?;
        self.take_text(file, &text, depth)
    }

    fn take_text(&mut self, file: &Path, text: &[u8], depth: usize) -> Result<(), ConfigError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let origin = Origin::Line(file.to_owned(), index + 1);
            let wrong = |reason: String| ConfigError::wrong(origin.clone(), &String::from_utf8_lossy(line), reason);
            let words = split_words(line).map_err(|reason| wrong(reason.to_owned()))?;
            match words.as_slice() {
                [name, other] if name.eq_ignore_ascii_case("include") => {
                    if depth == MAX_INCLUDE_DEPTH {
                        return Err(wrong(format!("Files include each other more than {MAX_INCLUDE_DEPTH} deep")));
                    }
                    self.include(Path::new(other), depth + 1)?;
                }
                [name, values @ ..] => self.take(name, values, &origin).map_err(wrong)?,
                [] => {}
            }
        }
        Ok(())
    }

    /// The word after a bare `--name` is its value whatever it looks like, as Redis has it; only `--save` may stand alone.
    fn take_arguments(&mut self, args: &[String]) -> Result<(), ConfigError> {
        let mut rest = args;
        while let [first, after @ ..] = rest {
            let wrong = |line: &str, reason: &str| ConfigError::wrong(Origin::Arguments, line, reason.to_owned());
            let name = first.strip_prefix("--").ok_or_else(|| wrong(first, "A parameter begins with --"))?;
            let mut words = split_words(name.as_bytes()).map_err(|reason| wrong(first, reason))?;
            if words.is_empty() {
                return Err(wrong(first, "A parameter begins with -- and its name"));
            }
            let saves = words[0].eq_ignore_ascii_case("save");
            let values = usize::from(words.len() == 1 && !saves);
            let next = after.iter().skip(values).position(|word| word.starts_with("--"));
            let count = next.map_or(after.len(), |index| index + values);
            words.extend_from_slice(&after[..count]);
            if saves && words.len() == 1 {
                words.push(String::new());
            }
            self.take(&words[0], &words[1..], &Origin::Arguments)
                .map_err(|reason| wrong(&format!("--{}", join_words(words.iter().map(String::as_str))), &reason))?;
            rest = &after[count..];
        }
        Ok(())
    }

    /// Takes one directive. The error is the reason.
    fn take(&mut self, name: &str, values: &[String], origin: &Origin) -> Result<(), String> {
        let Some((parameter, _)) = Parameter::find(name) else {
            return self.take_foreign(name, values, origin);
        };
        if values.is_empty() {
            return Err(WRONG_NUMBER.to_owned());
        }
        let grows = parameter.words == Words::Growing && self.origins.contains_key(parameter.name) && values != [""];
        let before = if grows { parameter.line(&self.config) } else { Vec::new() };
        parameter.assign(&mut self.config, &[&before, values].concat())?;
        self.origins.insert(parameter.name, origin.clone());
        Ok(())
    }

    fn take_foreign(&mut self, name: &str, values: &[String], origin: &Origin) -> Result<(), String> {
        match foreign(name, values) {
            Some(Foreign::Ignored) => {
                self.warnings.push(format!("'{name}' ({origin}) is ignored: it is Redis's, and has no meaning here"));
                Ok(())
            }
            Some(Foreign::Refused(reason)) => Err(reason.to_owned()),
            None => Err("Bad directive or wrong number of arguments".to_owned()),
        }
    }

    fn warn_of_no_effect(&mut self) {
        let default = Config::default();
        for (name, origin) in &self.origins {
            let Some((parameter, _)) = Parameter::find(name) else {
                continue;
            };
            let changed = parameter.reply(&self.config) != parameter.reply(&default);
            if changed && parameter.effect == Effect::NoEffect {
                let help = parameter.help();
                self.warnings.push(format!("'{name}' ({origin}) is accepted, but has no effect. ({help})"));
            }
        }
    }
}

impl ConfigError {
    fn wrong(origin: Origin, line: &str, reason: String) -> Self {
        let name = line.trim_start_matches('-').split_ascii_whitespace().next().unwrap_or_default();
        let secret = Parameter::find(name).is_some_and(|(parameter, _)| parameter.privacy == Privacy::Secret);
        let line = if secret { format!("{name} (not shown)") } else { line.to_owned() };
        Self::Wrong { origin, line, reason }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, number) => write!(f, "line {number} of {}", file.display()),
            Self::Arguments => f.write_str("command line"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*** FATAL CONFIG FILE ERROR ***\n")?;
        match self {
            Self::Wrong { origin: origin @ Origin::Line(..), line, reason } => {
                write!(f, "Reading the configuration file, at {origin}\n>>> '{line}'\n{reason}")
            }
            Self::Wrong { origin: Origin::Arguments, line, reason } => {
                write!(f, "Reading the command line\n>>> '{line}'\n{reason}")
            }
            Self::Unreadable { file, error } => {
                write!(f, "Can't open config file '{}': {error}", file.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
