//! Requests of different clients that come at the same time are looked ahead at together.
//!
//! ```text
//! A: read, held ─┐                    ┌─ A runs
//! B: read, held ─┼─► looked ahead at ─┼─ B runs
//! C: read, held ─┘                    └─ C runs, then the turn
//! ```
//!
//! A client that waits for each reply shows one request at a time, so its batch has nothing to look ahead at. Where many
//! such clients come in one turn, each session reads, lets the others read, and runs after that: the scheduler queues who
//! wakes himself behind all who are ready. Nobody waits for a request that has not come.

use engine::{Instance, Outlook};
use resp::{Limits, Parsed, Parser, Request};

/// So many reads in the turn before make it likely that others will read in this one.
const CROWD: u32 = 4;
/// A request that is held is copied: only short ones are.
const SHORT: usize = 2048;
/// A command's second word is a key more often than not.
const KEY_AT: usize = 1;

/// The sessions of a worker that have read in this turn.
#[derive(Default)]
pub(crate) struct Crowd {
    outlook: Outlook,
    request: Request,
    reads: u32,
    reads_before: u32,
}

impl Crowd {
    /// A session has read `bytes`, all that it has: says whether it is to let the others read before it runs that.
    #[inline]
    pub(crate) fn holds(
        &mut self,
        instance: &Instance,
        (database, limits): (usize, impl FnOnce() -> Limits),
        bytes: &[u8],
    ) -> bool {
        self.is_one_of_many(bytes, limits)
            && instance.gather(&mut self.outlook, database, self.request.arg(bytes, KEY_AT))
    }

    /// Whether there are likely to be others, and this is one whole request with a key.
    #[inline]
    fn is_one_of_many(&mut self, bytes: &[u8], limits: impl FnOnce() -> Limits) -> bool {
        self.reads += 1;
        if self.reads_before < CROWD || bytes.len() > SHORT || bytes.first() != Some(&b'*') {
            return false;
        }
        let parsed = Parser::new().parse(bytes, &limits(), &mut self.request);
        matches!(parsed, Ok(Parsed::Complete { consumed }) if consumed == bytes.len()) && self.request.len() > KEY_AT
    }

    /// The first of those who were held runs.
    #[inline]
    pub(crate) fn look(&mut self, instance: &Instance) {
        if !self.outlook.is_empty() {
            instance.foresee_gathered(&mut self.outlook);
        }
    }

    /// The turn is over.
    #[inline]
    pub(crate) fn end_turn(&mut self) {
        self.reads_before = std::mem::take(&mut self.reads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

    fn holds(crowd: &mut Crowd, bytes: &[u8]) -> bool {
        crowd.is_one_of_many(bytes, Limits::default)
    }

    #[test]
    fn one_whole_request_waits_for_others_where_there_were_others() {
        let mut crowd = Crowd::default();
        for _ in 0..CROWD {
            assert!(!holds(&mut crowd, GET), "nothing is known of others");
        }
        crowd.end_turn();
        assert!(holds(&mut crowd, GET));
        let value = vec![b'v'; SHORT];
        let long = [&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2048\r\n"[..], &value, b"\r\n"].concat();
        let (two, more) = ([GET, GET].concat(), [GET, b"*"].concat());
        let part = &GET[..GET.len() - 1];
        for other in [part, &two, &more, b"GET k\r\n", b"*1\r\n$4\r\nPING\r\n", b"*x\r\n", &long] {
            assert!(!holds(&mut crowd, other), "{}", String::from_utf8_lossy(other));
        }
        crowd.end_turn();
        assert!(holds(&mut crowd, GET));
        crowd.end_turn();
        assert!(!holds(&mut crowd, GET), "there was one in the turn before");
    }
}
