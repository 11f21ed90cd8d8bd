//! Why a command ended early: a sentence for the terminal and the exit code that goes with it.

use std::fmt::{self, Display};

pub type Outcome<T = ()> = Result<T, Failure>;

#[derive(Debug)]
pub struct Failure {
    message: String,
    /// Exit code of the process; never 0.
    pub code: u8,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The caller typed something that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// A child process failed; its code becomes ours. A child ended by a signal has no code: 1.
    pub fn of_child(message: impl Into<String>, code: Option<i32>) -> Self {
        let code = code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1);
        Self { message: message.into(), code }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Turns any error into a [`Failure`] that says what was being done.
pub trait Context<T> {
    fn context(self, doing: impl Display) -> Outcome<T>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, doing: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure::new(format!("{doing}: {error}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, doing: impl Display) -> Outcome<T> {
        self.ok_or_else(|| Failure::new(format!("{doing}: there is none")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_code_is_kept_and_never_becomes_success() {
        assert_eq!(Failure::of_child("x", Some(101)).code, 101);
        assert_eq!(Failure::of_child("x", Some(0)).code, 1);
        assert_eq!(Failure::of_child("x", Some(256)).code, 1);
        assert_eq!(Failure::of_child("x", None).code, 1);
    }

    #[test]
    fn context_names_what_was_done() {
        let failed: Result<(), &str> = Err("no such file");
        assert_eq!(failed.context("reading x").unwrap_err().to_string(), "reading x: no such file");
    }
}
