//! The arguments of one command, its name first.

use core::ops::Index;

use resp::parse_i64;

use crate::error::{Error, text};

/// A loan of the arguments; argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a>(&'a [&'a [u8]]);

impl<'a> Args<'a> {
    /// Wraps arguments as the parser gave them.
    #[inline]
    #[must_use]
    pub const fn new(args: &'a [&'a [u8]]) -> Self {
        Self(args)
    }

    /// Number of arguments, the name included.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always a name")]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Argument `index`, for as long as the arguments live.
    ///
    /// # Panics
    /// When there are fewer: the arity and the command's own checks come first.
    #[inline]
    #[must_use]
    pub fn at(self, index: usize) -> &'a [u8] {
        self.0[index]
    }

    /// Argument `index`, if there is one.
    #[inline]
    #[must_use]
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.0.get(index).copied()
    }

    /// The arguments from `index` on.
    ///
    /// # Panics
    /// When there are fewer.
    #[inline]
    #[must_use]
    pub fn from(self, index: usize) -> &'a [&'a [u8]] {
        &self.0[index..]
    }

    /// Whether argument `index` is there and is `token`, which is in upper case, in any case.
    #[inline]
    #[must_use]
    pub fn is(self, index: usize, token: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Argument `index` as an integer.
    ///
    /// # Errors
    /// The client's, when it is none.
    #[inline]
    pub fn integer(self, index: usize) -> Result<i64, Error> {
        parse_i64(self.at(index)).ok_or_else(|| Error::from(text::NOT_INTEGER))
    }

    /// Argument `index` as an integer of 32 bits, with the two texts Redis has for it.
    ///
    /// # Errors
    /// The client's, when it is none.
    pub fn small_integer(self, index: usize) -> Result<i32, Error> {
        i32::try_from(self.integer(index)?).map_err(|_| Error::from(text::NOT_SMALL_INTEGER))
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.0[index]
    }
}
