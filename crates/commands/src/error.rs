//! Why a command did not answer what was asked: the client is wrong, or the run must stop.

use std::borrow::Cow;

use keyspace::Stop;
use keyspace::list::ListError;
use keyspace::map::MapError;
use keyspace::string::StringError;

use crate::args::Args;
use crate::wait::Wait;

/// The error of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The client is wrong: an error reply with this text, which begins with its code. Not always UTF-8, for it may
    /// repeat what the client sent.
    Reply(Cow<'static, [u8]>),
    /// The run cannot go on here.
    Stop(Stop),
    /// There is nothing to answer yet. A run that ends so has changed nothing.
    Wait(Box<Wait>),
}

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Self {
        Self::Reply(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Reply(Cow::Owned(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Error {
    fn from(text: Vec<u8>) -> Self {
        Self::Reply(Cow::Owned(text))
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<ListError> for Error {
    fn from(error: ListError) -> Self {
        match error {
            ListError::WrongType => text::WRONG_TYPE.into(),
            ListError::Stop(stop) => Self::Stop(stop),
        }
    }
}

impl From<StringError> for Error {
    fn from(error: StringError) -> Self {
        match error {
            StringError::WrongType => text::WRONG_TYPE.into(),
            StringError::Stop(stop) => Self::Stop(stop),
        }
    }
}

impl From<MapError> for Error {
    fn from(error: MapError) -> Self {
        match error {
            MapError::WrongType => text::WRONG_TYPE.into(),
            MapError::Stop(stop) => Self::Stop(stop),
        }
    }
}

/// Redis's texts that several commands share.
pub mod text {
    /// The key holds a value of another type.
    pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// Options that do not exist, or not together.
    pub const SYNTAX: &str = "ERR syntax error";
    /// Neither an argument nor a value that must be a 64-bit integer may be anything else.
    pub const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
    /// An integer, but wider than 32 bits.
    pub const NOT_SMALL_INTEGER: &str = "ERR value is out of range, value must between -2147483648 and 2147483647";
    /// An integer of 64 bits, but the lowest one, which has no opposite.
    pub const NOT_LONG: &str =
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
    /// Not a floating point number.
    pub const NOT_FLOAT: &str = "ERR value is not a valid float";
    /// A key that must be there is not.
    pub const NO_SUCH_KEY: &str = "ERR no such key";
    /// A database number beyond the last.
    pub const DATABASE_RANGE: &str = "ERR DB index is out of range";
    /// Copying or moving a key onto itself.
    pub const SAME_OBJECT: &str = "ERR source and destination objects are the same";
    /// A string would outgrow `proto-max-bulk-len`.
    pub const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// A negative offset.
    pub const OFFSET_RANGE: &str = "ERR offset is out of range";
}

/// The error of a command with too few or too many arguments; `name` is in lower case, `container|name` in a container.
#[must_use]
pub fn wrong_arity(name: &str) -> Error {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// The error of a command that does not exist; it repeats at most 128 bytes of its name and about as many of the
/// arguments.
#[must_use]
pub fn unknown_command(args: Args<'_>) -> Error {
    const SHOWN: usize = 128;
    let mut shown = Vec::new();
    for arg in args.from(1) {
        if shown.len() >= SHOWN {
            break;
        }
        let room = SHOWN - shown.len();
        shown.push(b'\'');
        shown.extend_from_slice(printed(arg, room));
        shown.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(printed(args.at(0), SHOWN));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&shown);
    text.into()
}

/// The error of a container that has no subcommand of the name given as argument 1; `container` is in lower case.
#[must_use]
pub fn unknown_subcommand(container: &str, args: Args<'_>) -> Error {
    const SHOWN: usize = 128;
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(printed(args.at(1), SHOWN));
    text.extend_from_slice(format!("'. Try {} HELP.", container.to_ascii_uppercase()).as_bytes());
    text.into()
}

/// What C's `%.*s` prints: at most `limit` bytes, and nothing from a NUL on.
fn printed(bytes: &[u8], limit: usize) -> &[u8] {
    let bytes = &bytes[..bytes.len().min(limit)];
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(error: Error) -> String {
        match error {
            Error::Reply(text) => String::from_utf8(text.into_owned()).unwrap(),
            Error::Stop(_) | Error::Wait(_) => panic!("no reply: {error:?}"),
        }
    }

    #[test]
    fn unknown_commands_are_shown_in_part() {
        let shown = |args: &[&[u8]]| reply(unknown_command(Args::new(args)));
        assert_eq!(shown(&[b"foo"]), "ERR unknown command 'foo', with args beginning with: ");
        assert_eq!(shown(&[b"foo", b"a", b"b"]), "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
        let long = [b'x'; 200];
        assert_eq!(
            shown(&[&long, &long, b"b"]),
            format!("ERR unknown command '{0}', with args beginning with: '{0}' ", "x".repeat(128))
        );
        assert_eq!(
            shown(&[b"foo", &[b'y'; 100], &long, b"b"]),
            format!("ERR unknown command 'foo', with args beginning with: '{}' '{}' ", "y".repeat(100), "x".repeat(25))
        );
    }

    #[test]
    fn unknown_subcommands_name_the_help() {
        assert_eq!(
            reply(unknown_subcommand("object", Args::new(&[b"OBJECT", b"Foo"]))),
            "ERR unknown subcommand 'Foo'. Try OBJECT HELP."
        );
    }
}
