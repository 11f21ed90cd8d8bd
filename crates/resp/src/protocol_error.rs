//! What a client can do wrong below the level of commands, with Redis's text for each case.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

/// A request that breaks the protocol. The connection cannot be resynchronised: send [`ProtocolError::reply`], close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The count after `*` is not an integer, or is above [`crate::Limits::max_multibulk`].
    InvalidMultibulkLength,
    /// The length after `$` is not an integer, is negative, or is above [`crate::Limits::max_bulk_len`].
    InvalidBulkLength,
    /// An argument begins with a byte other than `$`.
    ExpectedDollar {
        /// The byte found instead.
        got: u8,
    },
    /// The line that begins with `*` does not end within [`crate::Limits::max_inline`].
    TooBigMultibulkCount,
    /// The line that should begin with `$` does not end within [`crate::Limits::max_inline`].
    TooBigBulkCount,
    /// An inline request does not end within [`crate::Limits::max_inline`].
    TooBigInline,
    /// An inline request leaves a quote open, or text touches a closing quote.
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// The error text, for [`crate::Reply::error_bytes`]: with the code `ERR`, without the leading `-` and the CRLF.
    ///
    /// Bytes, since [`ProtocolError::ExpectedDollar`] repeats a byte of the client's, which need not be UTF-8. A CR
    /// or LF there is already the space that Redis sends.
    pub fn reply(self) -> Cow<'static, [u8]> {
        let text = match self {
            Self::InvalidMultibulkLength => "ERR Protocol error: invalid multibulk length",
            Self::InvalidBulkLength => "ERR Protocol error: invalid bulk length",
            Self::ExpectedDollar { got } => {
                let shown = if matches!(got, b'\r' | b'\n') { b' ' } else { got };
                let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
                text.extend_from_slice(&[shown, b'\'']);
                return Cow::Owned(text);
            }
            Self::TooBigMultibulkCount => "ERR Protocol error: too big mbulk count string",
            Self::TooBigBulkCount => "ERR Protocol error: too big bulk count string",
            Self::TooBigInline => "ERR Protocol error: too big inline request",
            Self::UnbalancedQuotes => "ERR Protocol error: unbalanced quotes in request",
            Self::UnauthenticatedMultibulkLength => "ERR Protocol error: unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "ERR Protocol error: unauthenticated bulk length",
        };
        Cow::Borrowed(text.as_bytes())
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.reply()))
    }
}

impl core::error::Error for ProtocolError {}
