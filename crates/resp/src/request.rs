//! Where the arguments of one request lie.
//!
//! A multibulk request, and an inline one without quotes, is never copied: the request holds spans of the input.
//! Quotes and escapes make an inline argument differ from its bytes on the wire, so such a request is copied whole.

use alloc::vec::Vec;

/// Spans kept allocated from one request to the next; a longer list is given back.
const KEPT_SPANS: usize = 4096;

/// The arguments of one request, reused from call to call so that parsing does not allocate (quotes in an inline
/// request do).
///
/// Belongs to the input it was parsed from: [`Request::arg`] with other bytes answers nonsense, or panics.
#[derive(Debug, Default)]
pub struct Request {
    pub(crate) spans: Vec<Span>,
    pub(crate) place: Place,
}

impl Request {
    /// A request without arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many arguments there are, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no argument: nothing was parsed, or the last call did not complete a request.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument `i`, 0 being the command's name. `input` is what was given to [`crate::Parser::parse`].
    ///
    /// # Panics
    /// If `i` is not below [`Request::len`].
    #[inline]
    pub fn arg<'a>(&'a self, input: &'a [u8], i: usize) -> &'a [u8] {
        let span = self.spans[i];
        &self.bytes(input)[span.start..span.end]
    }

    /// All arguments in order.
    #[inline]
    pub fn args<'a>(&'a self, input: &'a [u8]) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone {
        let bytes = self.bytes(input);
        self.spans.iter().map(move |span| &bytes[span.start..span.end])
    }

    /// Forgets the arguments, and gives back the memory of unusually many.
    #[inline]
    pub fn clear(&mut self) {
        self.spans.clear();
        if self.spans.capacity() > KEPT_SPANS {
            self.spans.shrink_to(KEPT_SPANS);
        }
        if let Place::Scratch(_) = self.place {
            self.place = Place::Input;
        }
    }

    #[inline]
    fn bytes<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match &self.place {
            Place::Input => input,
            Place::Scratch(scratch) => scratch,
        }
    }
}

/// What the spans of a request count in.
#[derive(Debug, Default)]
pub(crate) enum Place {
    /// The bytes given to the parser.
    #[default]
    Input,
    /// A copy with quotes and escapes resolved.
    Scratch(Vec<u8>),
}

/// One argument: from `start` up to, without, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}
