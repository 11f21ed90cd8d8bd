//! The next requests of a batch, read before the first of them is run: so it is known what they are about to look up.

use engine::Glance;
use resp::{Limits, Parsed, Parser, ProtocolError, Request};

/// How many requests are read ahead.
const WIDTH: usize = 16;
/// Where the key stands.
const KEY_AT: usize = 1;

/// Requests that are read and not yet run, in order.
#[derive(Default)]
pub(crate) struct Window {
    /// The first `len` of them; the others are memory for later ones.
    requests: Vec<Ahead>,
    len: usize,
}

/// A request, and where it lies in the batch's bytes.
#[derive(Default)]
pub(crate) struct Ahead {
    pub request: Request,
    pub at: usize,
    pub len: usize,
}

/// How far a window reaches.
pub(crate) struct Reach {
    /// Its requests, and what is none between them, end here.
    pub at: usize,
    /// How often the parser was asked.
    pub parsed: usize,
    pub why: Edge,
}

/// Why it ends there.
pub(crate) enum Edge {
    /// It is full.
    Full,
    /// No whole request follows; so many bytes are needed at least.
    Incomplete { wanted: usize },
    /// What follows is none.
    Broken(ProtocolError),
}

impl Window {
    /// Reads requests from `at` on: at most `most` of them, none that begins after `end`.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        parser: &mut Parser,
        (bytes, limits): (&[u8], &Limits),
        mut at: usize,
        (most, end): (usize, usize),
    ) -> Reach {
        // One that is not needed again soon must not keep the memory of a million arguments.
        self.requests[..self.len].iter_mut().for_each(|ahead| ahead.request.clear());
        self.len = 0;
        let mut parsed = 0;
        while parsed < most.min(WIDTH) && at <= end {
            parsed += 1;
            if self.requests.len() == self.len {
                self.requests.push(Ahead::default());
            }
            let ahead = &mut self.requests[self.len];
            match parser.parse(&bytes[at..], limits, &mut ahead.request) {
                Ok(Parsed::Complete { consumed }) => {
                    (ahead.at, ahead.len) = (at, consumed);
                    self.len += 1;
                    at += consumed;
                }
                Ok(Parsed::Empty { consumed }) => at += consumed,
                Ok(Parsed::Incomplete { wanted }) => return Reach { at, parsed, why: Edge::Incomplete { wanted } },
                Err(error) => return Reach { at, parsed, why: Edge::Broken(error) },
            }
        }
        Reach { at, parsed, why: Edge::Full }
    }

    /// The requests.
    #[inline]
    pub(crate) fn requests(&self) -> &[Ahead] {
        &self.requests[..self.len]
    }

    /// What the requests seem to be about, as far as they have a key: a command's second word is one more often than not.
    #[inline]
    pub(crate) fn glances<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Glance<'a>> {
        let with_key = self.requests().iter().filter(|ahead| ahead.request.len() > KEY_AT);
        with_key.map(|Ahead { request, at, .. }| {
            let word = |number: usize| request.arg(&bytes[*at..], number);
            let words = (request.len() > KEY_AT + 1).then(|| [word(KEY_AT + 1), word(request.len() - 1)]);
            Glance { key: word(KEY_AT), words }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(window: &mut Window, bytes: &[u8], most: usize, end: usize) -> (usize, usize, Edge) {
        let Reach { at, parsed, why } = window.fill(&mut Parser::new(), (bytes, &Limits::default()), 0, (most, end));
        (at, parsed, why)
    }

    fn firsts(window: &Window, bytes: &[u8]) -> Vec<(usize, usize, String)> {
        let first = |ahead: &Ahead| String::from_utf8_lossy(ahead.request.arg(&bytes[ahead.at..], 0)).into_owned();
        window.requests().iter().map(|ahead| (ahead.at, ahead.len, first(ahead))).collect()
    }

    #[test]
    fn requests_are_read_up_to_the_first_that_is_not_whole() {
        let bytes = b"PING\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nECH";
        let mut window = Window::default();
        let (at, parsed, why) = fill(&mut window, bytes, 100, 1000);
        assert_eq!((at, parsed), (28, 4), "the blank line was read, too");
        assert!(matches!(why, Edge::Incomplete { wanted: 14 }));
        assert_eq!(firsts(&window, bytes), [(0, 6, "PING".to_owned()), (8, 20, "GET".to_owned())]);
        let keys: Vec<_> = window.glances(bytes).map(|glance| (glance.key, glance.words)).collect();
        assert_eq!(keys, [(&b"k"[..], None)], "a request of one word names no key");
    }

    #[test]
    fn an_element_may_stand_after_the_key_or_at_the_end() {
        let bytes = b"SADD s a\r\nZADD z NX 1 m\r\n";
        let mut window = Window::default();
        fill(&mut window, bytes, 100, 1000);
        let words: Vec<_> = window.glances(bytes).filter_map(|glance| glance.words).collect();
        assert_eq!(words, [[&b"a"[..], b"a"], [b"NX", b"m"]]);
    }

    #[test]
    fn what_stands_before_a_broken_request_is_there_to_be_run() {
        let bytes = b"PING\r\n*1\r\n:4\r\n";
        let mut window = Window::default();
        let (at, parsed, why) = fill(&mut window, bytes, 100, 1000);
        assert_eq!((at, parsed), (6, 2));
        assert!(matches!(why, Edge::Broken(_)));
        assert_eq!(window.requests().len(), 1);
    }

    #[test]
    fn a_window_has_a_width_and_is_used_again() {
        let bytes = b"PING\r\n".repeat(3 * WIDTH);
        let mut window = Window::default();
        let (at, parsed, why) = fill(&mut window, &bytes, 100, 1000);
        assert_eq!((at, parsed, window.requests().len()), (6 * WIDTH, WIDTH, WIDTH));
        assert!(matches!(why, Edge::Full));
        let (at, parsed, _) = fill(&mut window, &bytes, 3, 1000);
        assert_eq!((at, parsed, window.requests().len()), (18, 3, 3));
        let (at, _, _) = fill(&mut window, &bytes, 100, 12);
        assert_eq!(at, 18, "the last one begins at 12");
        fill(&mut window, &bytes, 1, 1000);
        assert_eq!(window.requests.len(), WIDTH);
        assert!(window.requests[1..].iter().all(|ahead| ahead.request.is_empty()), "what is not used keeps nothing");
    }
}
