//! What must hold of any bytes at all; shared by the fuzz target and the test that replays its corpus.

use replication::wire::{Inbox, Manifest, Side, WireError};

/// Messages of a link in either direction read alike whole, in two halves and byte by byte, and encode to bytes that
/// read back to the same; a manifest that reads is spelled in one way.
pub fn wire(stream: &[u8]) {
    for side in [Side::FromPrimary, Side::FromReplica] {
        let whole = messages(side, stream, stream.len());
        assert_eq!(messages(side, stream, stream.len() / 2), whole);
        assert_eq!(messages(side, stream, 1), whole);
        let encoded = whole.0.concat();
        assert_eq!(messages(side, &encoded, encoded.len()), (whole.0, None));
    }
    if let Some(manifest) = Manifest::decode(stream) {
        assert_eq!(manifest.encode(), stream);
    }
}

/// The messages of a stream that arrives `step` bytes at a time, encoded again, and the error that ended it.
fn messages(side: Side, stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<WireError>) {
    let mut inbox = Inbox::new(side, Vec::new());
    let mut messages = Vec::new();
    for piece in stream.chunks(step.max(1)) {
        inbox.room().extend_from_slice(piece);
        loop {
            let mut out = Vec::new();
            let next = match side {
                Side::FromPrimary => inbox.next_reply().map(|reply| reply.map(|reply| reply.encode(&mut out))),
                Side::FromReplica => {
                    inbox.next_request().map(|request| request.map(|request| request.encode(&mut out)))
                }
            };
            match next {
                Ok(Some(())) => messages.push(out),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}
