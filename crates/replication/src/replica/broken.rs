//! Why a link or a transfer ended: [`Broken`], a cause for the state machine and a text for people.

use std::io;

use replication_proto::Cause;

use crate::dial::DialError;
use crate::wire::{Class, Refusal, WireError};

/// Why something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub cause: Cause,
    pub detail: String,
}

impl Broken {
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// What the other side refused. `plain` is what an error without a class of its own means here.
    pub fn refused(refusal: &Refusal, plain: Cause) -> Self {
        let is = |word: &str| refusal.text.split(' ').next() == Some(word);
        let cause = match refusal.class {
            Class::Incompatible => Cause::Incompatible,
            Class::Cycle => Cause::Cycle,
            Class::Itself => Cause::Itself,
            Class::Busy => Cause::Busy,
            Class::Auth if is("NOPERM") => Cause::Forbidden,
            Class::Auth => Cause::AuthRefused,
            Class::Loading => Cause::Loading,
            Class::NoLease => Cause::LeaseLost,
            Class::Damaged => Cause::BadFrame,
            Class::Other => plain,
        };
        Self::new(cause, refusal.text.clone())
    }

    /// What was no answer to what was asked.
    pub fn unexpected(asked: &str) -> Self {
        Self::new(Cause::Protocol, format!("an answer that does not fit {asked}"))
    }

    /// The other side closed.
    pub fn closed() -> Self {
        Self::new(Cause::Closed, "the other side closed the connection")
    }

    /// The disk here.
    pub fn disk(error: &io::Error, what: &str) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::NoSpace,
            _ => Cause::DiskFault,
        };
        Self::new(cause, format!("{what}: {error}"))
    }
}

/// A socket's trouble.
impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Cause::Silence,
            _ => Cause::Closed,
        };
        Self::new(cause, error.to_string())
    }
}

impl From<DialError> for Broken {
    fn from(error: DialError) -> Self {
        let cause = match &error {
            DialError::Unresolved(_) => Cause::Unreachable,
            DialError::Refused(_) | DialError::OwnSocket(_) => Cause::Refused,
            DialError::Timeout => Cause::Timeout,
            DialError::Io(_, error) => match error.kind() {
                io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Cause::Unreachable,
                io::ErrorKind::TimedOut => Cause::Timeout,
                _ => Cause::Closed,
            },
        };
        Self::new(cause, error.to_string())
    }
}

impl From<WireError> for Broken {
    fn from(error: WireError) -> Self {
        Self::new(Cause::Protocol, error.to_string())
    }
}
