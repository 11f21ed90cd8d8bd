//! What the type of a parameter knows: how words become a value, how a value becomes words, and which words are refused.
//!
//! ```text
//!   file line, argument   -> words --assign--> field of `Config`
//!   CONFIG SET            -> one word ----^        |
//!   CONFIG GET, file line <- words <---words-------+
//! ```
//!
//! The reasons for a refusal are Redis 7's texts, because client libraries and test suites compare them. Shapes with a
//! grammar of their own (save points, output limits ..) are in `composite`.

use std::ops::RangeInclusive;

/// Where the words of a value go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `CONFIG GET`: memory in bytes, Redis's names.
    Reply,
    /// A line of a configuration file: memory with units where that is exact, and never an empty line.
    File,
}

/// How many words a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Exactly one.
    One,
    /// Any number, and spaces inside a word separate words too; none is one empty word. A later line replaces an earlier one.
    List,
    /// As `List`, but lines of one start add up, until a line with an empty word starts afresh.
    Growing,
}

/// A type that a parameter can have.
pub trait Field {
    /// What a declaration adds to the type: a range, a set of names; `()` where the type says everything.
    type Rule;
    /// How many words a value has.
    const WORDS: Words;
    /// The values that are accepted, for the documentation.
    fn describe(rule: &Self::Rule) -> String;
    /// Takes the value from `words`, whose number fits `WORDS`. The error is the reason, in Redis's words; then `self`
    /// may be half changed.
    fn assign(&mut self, rule: &Self::Rule, words: &[String]) -> Result<(), String>;
    /// The words from which `assign` makes this value again, unless the form is a reply.
    fn words(&self, rule: &Self::Rule, form: Form) -> Vec<String>;
}

/// Redis's refusal of a number of words that a parameter does not take.
pub const WRONG_NUMBER: &str = "wrong number of arguments";

/// The one word of a parameter that takes one.
pub fn only(words: &[String]) -> Result<&str, String> {
    match words {
        [word] => Ok(word),
        [] | [_, _, ..] => Err(WRONG_NUMBER.to_owned()),
    }
}

/// How the text of a number reads, and between which bounds it lies.
#[derive(Clone, Debug)]
pub enum Number {
    /// A decimal integer.
    Integer(RangeInclusive<i64>),
    /// Bytes, with an optional unit.
    Memory(RangeInclusive<u64>),
    /// File permissions: octal, from 0.
    Octal(u32),
}

/// A decimal integer within bounds.
pub const fn integer(least: i64, most: i64) -> Number {
    Number::Integer(RangeInclusive::new(least, most))
}

/// An amount of memory within bounds.
pub const fn memory(least: u64, most: u64) -> Number {
    Number::Memory(RangeInclusive::new(least, most))
}

impl Number {
    fn parse(&self, word: &str) -> Result<i128, String> {
        match self {
            Self::Integer(range) => {
                let number = parse_integer(word).ok_or("argument couldn't be parsed into an integer")?;
                within(number.into(), (*range.start()).into(), (*range.end()).into())
            }
            Self::Memory(range) => {
                let bytes = parse_memory(word).ok_or("argument must be a memory value")?;
                within(bytes.into(), (*range.start()).into(), (*range.end()).into())
            }
            Self::Octal(most) => {
                let refused = || "argument couldn't be parsed as an octal number".to_owned();
                let mode = u32::from_str_radix(word, 8).map_err(|_| refused())?;
                if mode > *most {
                    Err(format!("argument must be between 0 and {most:o} inclusive"))
                } else {
                    Ok(mode.into())
                }
            }
        }
    }

    fn format(&self, number: i128, form: Form) -> String {
        match (self, form) {
            (Self::Integer(_), Form::Reply | Form::File) | (Self::Memory(_), Form::Reply) => number.to_string(),
            (Self::Memory(_), Form::File) => with_unit(number.unsigned_abs()),
            (Self::Octal(_), Form::Reply | Form::File) => format!("{number:o}"),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Integer(range) => {
                format!("integer, {}", span(*range.start() as i128, *range.end() as i128, i128::to_string))
            }
            Self::Memory(range) => {
                let bound = |bytes: &i128| with_unit(bytes.unsigned_abs());
                format!("memory, {}", span((*range.start()).into(), (*range.end()).into(), bound))
            }
            Self::Octal(most) => format!("octal, 0 to {most:o}"),
        }
    }
}

/// Bounds as a reader wants them: the largest value that fits the type is not news.
fn span(least: i128, most: i128, text: impl Fn(&i128) -> String) -> String {
    if most >= i128::from(i32::MAX) && matches!(most, 0x7fff_ffff | 0xffff_ffff | 0x7fff_ffff_ffff_ffff) {
        format!("at least {}", text(&least))
    } else {
        format!("{} to {}", text(&least), text(&most))
    }
}

fn within(number: i128, least: i128, most: i128) -> Result<i128, String> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(outside(least, most)) }
}

fn outside(least: i128, most: i128) -> String {
    format!("argument must be between {least} and {most} inclusive")
}

/// A decimal integer in its one canonical spelling, as Redis reads them: no plus, no leading zeros or spaces.
pub fn parse_integer(word: &str) -> Option<i64> {
    word.parse().ok().filter(|number: &i64| number.to_string() == word)
}

/// Units of memory, the longest name first among those that end alike.
const UNITS: [(&str, u64); 7] =
    [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("k", 1_000), ("m", 1_000_000), ("g", 1_000_000_000), ("b", 1)];

/// Bytes with an optional unit in any case: `1k` is 1000, `1kb` is 1024.
pub fn parse_memory(word: &str) -> Option<u64> {
    let lower = word.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(name, size)| Some((lower.strip_suffix(name)?, *size)));
    let (digits, size) = unit.unwrap_or((&lower, 1));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(size)
}

/// Bytes in the largest binary unit that is exact.
pub fn with_unit(bytes: u128) -> String {
    let exact = |unit: u128| bytes != 0 && bytes.is_multiple_of(unit);
    if exact(1 << 30) {
        format!("{}gb", bytes >> 30)
    } else if exact(1 << 20) {
        format!("{}mb", bytes >> 20)
    } else if exact(1 << 10) {
        format!("{}kb", bytes >> 10)
    } else {
        bytes.to_string()
    }
}

macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            type Rule = Number;
            const WORDS: Words = Words::One;

            fn describe(rule: &Number) -> String {
                rule.describe()
            }

            fn assign(&mut self, rule: &Number, words: &[String]) -> Result<(), String> {
                let number = rule.parse(only(words)?)?;
                *self = Self::try_from(number).map_err(|_| outside(Self::MIN.into(), Self::MAX.into()))?;
                Ok(())
            }

            fn words(&self, rule: &Number, form: Form) -> Vec<String> {
                vec![rule.format((*self).into(), form)]
            }
        }
    )*};
}
number_fields!(u8, u16, u32, u64, i32, i64);

impl Field for bool {
    type Rule = ();
    const WORDS: Words = Words::One;

    fn describe((): &()) -> String {
        "yes or no".to_owned()
    }

    fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
        *self = match only(words)?.to_ascii_lowercase().as_str() {
            "yes" => true,
            "no" => false,
            _ => return Err("argument must be 'yes' or 'no'".to_owned()),
        };
        Ok(())
    }

    fn words(&self, (): &(), _: Form) -> Vec<String> {
        vec![if *self { "yes" } else { "no" }.to_owned()]
    }
}

/// Which texts a parameter accepts.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// Every text.
    Any,
    /// The name of a file without a folder; the reason for the refusal of a path names the parameter.
    FileName(&'static str),
    /// One of these names, in any case. For parameters without effect, which need no enum of their own.
    OneOf(&'static [&'static str]),
}

impl Field for String {
    type Rule = Text;
    const WORDS: Words = Words::One;

    fn describe(rule: &Text) -> String {
        match rule {
            Text::Any => "text".to_owned(),
            Text::FileName(_) => "file name".to_owned(),
            Text::OneOf(names) => names.join(", "),
        }
    }

    fn assign(&mut self, rule: &Text, words: &[String]) -> Result<(), String> {
        let word = only(words)?;
        *self = match rule {
            Text::Any => word.to_owned(),
            Text::FileName(name) if word.is_empty() => {
                return Err(format!("{name} can't be empty"));
            }
            Text::FileName(name) if word.contains('/') => {
                return Err(format!("{name} can't be a path, just a filename"));
            }
            Text::FileName(_) => word.to_owned(),
            Text::OneOf(names) => names[choose(word, names)?].to_owned(),
        };
        Ok(())
    }

    fn words(&self, _: &Text, _: Form) -> Vec<String> {
        vec![self.clone()]
    }
}

/// The index of `word` in `names`, in any case.
pub fn choose(word: &str, names: &[&str]) -> Result<usize, String> {
    let found = names.iter().position(|name| name.eq_ignore_ascii_case(word));
    found.ok_or_else(|| format!("argument(s) must be one of the following: {}", names.join(", ")))
}

/// Declares an enum each of whose variants has a name in the configuration.
macro_rules! choices {
    ($($(#[doc = $doc:literal])+ $choice:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $name:literal,)+ })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $choice {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $choice {
            const ALL: &[Self] = &[$(Self::$variant),+];
            const NAMES: &[&str] = &[$($name),+];

            /// The name in the configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl Field for $choice {
            type Rule = ();
            const WORDS: Words = Words::One;

            fn describe((): &()) -> String {
                Self::NAMES.join(", ")
            }

            fn assign(&mut self, (): &(), words: &[String]) -> Result<(), String> {
                *self = Self::ALL[choose(only(words)?, Self::NAMES)?];
                Ok(())
            }

            fn words(&self, (): &(), _: Form) -> Vec<String> {
                vec![self.name().to_owned()]
            }
        }
    )+};
}

choices! {
    /// When the log file is fsynced.
    AppendFsync {
        /// Once a second, in the background: a power cut costs at most about a second.
        Everysec = "everysec",
        /// Before a write is answered.
        Always = "always",
        /// When the operating system likes.
        No = "no",
    }
    /// The least important messages that are still logged.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// What a developer wants.
        Verbose = "verbose",
        /// What an operator wants.
        Notice = "notice",
        /// Only what needs attention.
        Warning = "warning",
    }
    /// The shape of a log line.
    LogFormat {
        /// For eyes.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
    /// How the store compresses its blocks.
    Compression {
        /// Fast.
        Lz4 = "lz4",
        /// Small.
        Zstd = "zstd",
        /// Not at all.
        None = "none",
    }
    /// Who may use a command that is powerful in wrong hands.
    Permission {
        /// Nobody.
        No = "no",
        /// Every client.
        Yes = "yes",
        /// Clients of this machine.
        Local = "local",
    }
}
