//! What must hold of any bytes at all; shared by the fuzz targets and the test that replays their corpus.

use resp::{
    Limits, LongDouble, Parsed, Parser, ProtocolError, ReplyLimits, Request, encode_command, format_f64, parse_f64,
    parse_i64, parse_reply,
};

/// A stream of requests parses alike whole, in two halves and byte by byte, and its commands encode back.
pub fn request(stream: &[u8]) {
    let whole = commands(stream, stream.len());
    assert_eq!(commands(stream, stream.len() / 2), whole);
    assert_eq!(commands(stream, 1), whole);
    for command in &whole.0 {
        let mut encoded = Vec::new();
        encode_command(&command.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut encoded);
        assert_eq!(commands(&encoded, encoded.len()), (vec![command.clone()], None));
    }
}

/// A reply that reads from a prefix reads alike from all of it, and never takes more bytes than there are.
pub fn reply(input: &[u8]) {
    let limits = ReplyLimits::default();
    // The last comparison is of text: "not a number" differs from itself.
    match parse_reply(input, &limits) {
        Ok(Some((value, len))) => {
            let again = parse_reply(&input[..len], &limits);
            assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(Some((value, len)))));
            assert_eq!(parse_reply(&input[..len - 1], &limits), Ok(None));
        }
        Ok(None) => {
            for len in 0..input.len().min(64) {
                assert_eq!(parse_reply(&input[..len], &limits), Ok(None));
            }
        }
        Err(_) => {}
    }
}

/// Numbers that read print back alike, and both float formats accept the same texts within the narrower one's range.
pub fn number(text: &[u8]) {
    if let Some(value) = parse_i64(text) {
        assert_eq!(value.to_string().as_bytes(), text);
    }
    let long = LongDouble::parse(text);
    if let Some(value) = parse_f64(text) {
        let mut printed = Vec::new();
        format_f64(value, &mut printed);
        assert_eq!(parse_f64(&printed), Some(value));
        assert!(long.is_some() || text.len() > 5119);
    }
    if let Some(long) = long {
        let mut printed = Vec::new();
        long.add(long).format_human(&mut printed);
        assert!(!printed.is_empty() && printed != b"-0");
    }
}

/// The commands of a stream that arrives `step` bytes at a time, and the error that ended it.
fn commands(stream: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let (limits, mut parser, mut request) = (Limits::default(), Parser::new(), Request::new());
    let (mut commands, mut start, mut end) = (Vec::new(), 0, 0);
    while end < stream.len() {
        end = (end + step.max(1)).min(stream.len());
        loop {
            let input = &stream[start..end];
            match parser.parse(input, &limits, &mut request) {
                Ok(Parsed::Incomplete { wanted }) => {
                    assert!(wanted > input.len() && request.is_empty());
                    break;
                }
                Ok(Parsed::Empty { consumed }) => start += consumed,
                Ok(Parsed::Complete { consumed }) => {
                    commands.push(request.args(input).map(<[u8]>::to_vec).collect());
                    start += consumed;
                }
                Err(error) => return (commands, Some(error)),
            }
        }
    }
    (commands, None)
}
