//! The request parser against what a running Redis 7.0.15 answers, and against itself over every split of a stream.

use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::command::encode_command;

type Outcome = Result<(Parsed, Vec<Vec<u8>>), ProtocolError>;

fn parse_with(input: &[u8], limits: &Limits) -> Outcome {
    let mut request = Request::new();
    let parsed = Parser::new().parse(input, limits, &mut request)?;
    Ok((parsed, request.args(input).map(<[u8]>::to_vec).collect()))
}

fn parse(input: &[u8]) -> Outcome {
    parse_with(input, &Limits::default())
}

#[track_caller]
fn assert_command(input: &[u8], args: &[&[u8]], consumed: usize) {
    let args = args.iter().map(|arg| arg.to_vec()).collect();
    assert_eq!(parse(input), Ok((Parsed::Complete { consumed }, args)));
}

#[track_caller]
fn assert_empty(input: &[u8], consumed: usize) {
    assert_eq!(parse(input), Ok((Parsed::Empty { consumed }, vec![])));
}

#[track_caller]
fn assert_wants(input: &[u8], wanted: usize) {
    assert_eq!(parse(input), Ok((Parsed::Incomplete { wanted }, vec![])));
}

#[track_caller]
fn assert_error(input: &[u8], text: &[u8]) {
    assert_eq!(parse(input).unwrap_err().reply(), text, "{:?}", &input[..input.len().min(40)]);
}

#[test]
fn multibulk_requests() {
    assert_command(b"*1\r\n$4\r\nPING\r\n", &[b"PING"], 14);
    assert_command(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\nrest", &[b"GET", b""], 19);
    assert_command(b"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\0\xff\r\n", &[b"ECHO", b"\r\n\0\xff"], 24);
    let long = vec![b'x'; 12345];
    let mut input = Vec::new();
    encode_command(&[b"SET", &long[..10], &long[..100], &long[..999], &long], &mut input);
    assert_command(&input, &[b"SET", &long[..10], &long[..100], &long[..999], &long], input.len());
    let many = vec![&b"a"[..]; 1234];
    let mut input = Vec::new();
    encode_command(&many, &mut input);
    assert_command(&input, &many, input.len());
}

#[test]
fn inline_requests() {
    assert_command(b"PING\r\n", &[b"PING"], 6);
    assert_command(b"PING\nrest", &[b"PING"], 5);
    assert_command(b"\rPING\r\n", &[b"PING"], 7);
    assert_command(b"echo a\r\r\n", &[b"echo", b"a"], 9);
    assert_command(b"echo a\rb\n", &[b"echo", b"a", b"b"], 9);
    assert_command(b"set \"a b\" 'c' d\r\n", &[b"set", b"a b", b"c", b"d"], 17);
    assert_command(b" *1 x\r\n", &[b"*1", b"x"], 7);
}

#[test]
fn nothing_to_do() {
    assert_empty(b"\r\nPING\r\n", 2);
    assert_empty(b"\n", 1);
    assert_empty(b"  \t \n", 5);
    assert_empty(b"*0\r\nPING", 4);
    assert_empty(b"*-1\r\n", 5);
    assert_empty(b"*-9223372036854775808\r\n", 23);
}

/// Redis looks neither at the two bytes after an argument nor at the byte after the CR of a length line.
#[test]
fn terminators_are_counted_not_read() {
    assert_command(b"*1\r\n$4\r\nPINGxxPING\r\n", &[b"PING"], 14);
    assert_command(b"*1\rX$4\rYPINGab", &[b"PING"], 14);
    assert_command(b"*1\rX$1\r\0a\0\0", &[b"a"], 11);
}

#[test]
fn incomplete_requests_say_what_they_want() {
    assert_wants(b"", 1);
    assert_wants(b"PIN", 4);
    assert_wants(b"*", 2);
    assert_wants(b"*1\r", 4);
    assert_wants(b"*1\r\n", 5);
    assert_wants(b"*1\r\n$4\r", 8);
    assert_wants(b"*1\r\n$4\r\n", 14);
    assert_wants(b"*1\r\n$4\r\nPING\r", 14);
    assert_wants(b"*2\r\n$4\r\nPING\r\n", 15);
    assert_wants(b"*1\r\n$536870912\r\nab", 16 + 536_870_912 + 2);
    assert_wants(b"*2147483647\r\n", 14);
}

/// A line feed alone ends an inline request but no length line.
#[test]
fn a_lone_line_feed_does_not_end_a_length_line() {
    assert_wants(b"*1\n$4\nPING\n", 12);
    assert_error(b"*1\n$4\nPING\n\r\n", b"ERR Protocol error: invalid multibulk length");
}

/// Redis searches with strchr: behind a NUL it finds no line end.
#[test]
fn a_nul_hides_the_end_of_its_line() {
    assert_wants(b"PING\0\nPING\n", 12);
    assert_wants(b"*1\0\r\n", 6);
    assert_wants(b"*1\r\n\0x\r\n", 9);
    assert_error(&[b"PING\0\n".as_slice(), &[b'x'; 65536]].concat(), b"ERR Protocol error: too big inline request");
    assert_error(&[0; 65537], b"ERR Protocol error: too big inline request");
    assert_error(
        &[b"*1\r\n\0\r\n".as_slice(), &[b'4'; 65536]].concat(),
        b"ERR Protocol error: too big bulk count string",
    );
}

#[test]
fn golden_error_texts() {
    for count in ["x", "", "+1", "01", " 1", "-0", "2147483648", "9223372036854775808", "1 ", "1.5"] {
        let input = alloc::format!("*{count}\r\n");
        assert_error(input.as_bytes(), b"ERR Protocol error: invalid multibulk length");
    }
    for length in ["-1", "x", "", "04", "536870913", "+4", "99999999999999999999", "-0"] {
        let input = alloc::format!("*1\r\n${length}\r\n");
        assert_error(input.as_bytes(), b"ERR Protocol error: invalid bulk length");
    }
    assert_error(b"*1\r\n:4\r\n", b"ERR Protocol error: expected '$', got ':'");
    assert_error(b"*2\r\n$1\r\na\r\nabc\r\n", b"ERR Protocol error: expected '$', got 'a'");
    assert_error(b"*1\r\n\xff4\r\n", b"ERR Protocol error: expected '$', got '\xff'");
    assert_error(b"*1\r\n\r\n", b"ERR Protocol error: expected '$', got ' '");
    assert_error(b"*1\r\n\n4\r\n", b"ERR Protocol error: expected '$', got ' '");
    assert_error(b"set \"a\r\n", b"ERR Protocol error: unbalanced quotes in request");
    let long = [b'1'; 65541];
    assert_error(&[b"*".as_slice(), &long].concat(), b"ERR Protocol error: too big mbulk count string");
    assert_error(&[b"*1\r\n$".as_slice(), &long].concat(), b"ERR Protocol error: too big bulk count string");
    assert_error(&long, b"ERR Protocol error: too big inline request");
    assert_eq!(alloc::format!("{}", ProtocolError::InvalidBulkLength), "ERR Protocol error: invalid bulk length");
}

#[test]
fn the_longest_line_is_exact() {
    let limit = Limits::default().max_inline;
    let mut line = vec![b'x'; limit];
    assert_wants(&line, limit + 1);
    line.push(b'\n');
    assert_command(&line, &[&line[..limit]], limit + 1);
    line.insert(0, b'x');
    assert_error(&line, b"ERR Protocol error: too big inline request");
}

#[test]
fn before_authentication_requests_are_small() {
    let limits = Limits { trust: Trust::Unauthenticated, ..Limits::default() };
    let error = |input: &[u8]| parse_with(input, &limits).unwrap_err().reply();
    assert_eq!(*error(b"*11\r\n"), *b"ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(*error(b"*1\r\n$16385\r\n"), *b"ERR Protocol error: unauthenticated bulk length");
    assert_eq!(*error(b"*2147483648\r\n"), *b"ERR Protocol error: invalid multibulk length");
    assert_eq!(*error(b"*1\r\n$536870913\r\n"), *b"ERR Protocol error: invalid bulk length");
    assert!(matches!(parse_with(b"*10\r\n$16384\r\n", &limits), Ok((Parsed::Incomplete { .. }, _))));
}

#[test]
fn limits_can_be_lowered() {
    let limits = Limits { max_bulk_len: 3, max_multibulk: 2, ..Limits::default() };
    assert_eq!(parse_with(b"*3\r\n", &limits), Err(ProtocolError::InvalidMultibulkLength));
    assert_eq!(parse_with(b"*1\r\n$4\r\n", &limits), Err(ProtocolError::InvalidBulkLength));
    assert!(parse_with(b"*2\r\n$3\r\nabc\r\n$3\r\ndef\r\n", &limits).is_ok());
    let unlimited = Limits { max_bulk_len: usize::MAX, max_multibulk: usize::MAX, max_inline: usize::MAX, ..limits };
    let parsed = parse_with(b"*9223372036854775807\r\n$9223372036854775807\r\nab", &unlimited);
    assert!(matches!(parsed, Ok((Parsed::Incomplete { .. }, _))));
}

#[test]
fn one_request_serves_interleaved_connections() {
    let (limits, mut request) = (Limits::default(), Request::new());
    let (mut a, mut b) = (Parser::new(), Parser::new());
    let (first, second) = (b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n");
    assert!(matches!(a.parse(&first[..12], &limits, &mut request), Ok(Parsed::Incomplete { .. })));
    assert!(matches!(b.parse(&second[..20], &limits, &mut request), Ok(Parsed::Incomplete { .. })));
    assert!(request.is_empty());
    assert_eq!(a.parse(first, &limits, &mut request), Ok(Parsed::Complete { consumed: 18 }));
    assert_eq!(request.args(first).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(b.parse(second, &limits, &mut request), Ok(Parsed::Complete { consumed: 25 }));
    assert_eq!((request.len(), request.arg(second, 2)), (3, &b"z"[..]));
}

#[test]
fn a_request_gives_a_long_list_of_spans_back() {
    let many = vec![&b"a"[..]; 100_000];
    let mut input = Vec::new();
    encode_command(&many, &mut input);
    let (mut parser, mut request) = (Parser::new(), Request::new());
    parser.parse(&input, &Limits::default(), &mut request).unwrap();
    assert_eq!(request.len(), many.len());
    parser.parse(b"PING\r\n", &Limits::default(), &mut request).unwrap();
    assert!(request.spans.capacity() <= 2 * 4096);
}

/// Feeds `stream` in pieces ending at `cuts`, and returns every outcome until the stream ends or fails.
fn feed(stream: &[u8], cuts: &[usize]) -> Vec<Outcome> {
    let (limits, mut parser, mut request) = (Limits::default(), Parser::new(), Request::new());
    let (mut outcomes, mut start) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&stream.len()]) {
        loop {
            // A fresh copy each time: the buffer may move.
            let input = stream[start..end].to_vec();
            match parser.parse(&input, &limits, &mut request) {
                Ok(Parsed::Incomplete { wanted }) => {
                    assert!(wanted > input.len());
                    break;
                }
                Ok(parsed @ (Parsed::Complete { consumed } | Parsed::Empty { consumed })) => {
                    assert!(consumed > 0 && consumed <= input.len());
                    start += consumed;
                    outcomes.push(Ok((parsed, request.args(&input).map(<[u8]>::to_vec).collect())));
                }
                Err(error) => {
                    outcomes.push(Err(error));
                    return outcomes;
                }
            }
        }
    }
    outcomes
}

fn arb_piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..5).prop_map(|args| {
            let mut out = Vec::new();
            encode_command(&args.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut out);
            out
        }),
        1 => prop::collection::vec(any::<u8>(), 1000..1100).prop_map(|arg| {
            let mut out = Vec::new();
            encode_command(&[b"SET", &arg], &mut out);
            out
        }),
        2 => "[a-z\"' ]{0,20}\r?\n".prop_map(String::into_bytes),
        1 => Just(b"*0\r\n".to_vec()),
        1 => Just(b"*-1\r\n".to_vec()),
        1 => "[*$0-9\r\n\\x00a\"' -]{0,12}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_split_parses_alike(
        pieces in prop::collection::vec(arb_piece(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let stream = pieces.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = feed(&stream, &[]);
        prop_assert_eq!(&feed(&stream, &cuts), &whole);
        let every: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&feed(&stream, &every), &whole);
    }

    #[test]
    fn arbitrary_bytes_neither_panic_nor_loop(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        cut: prop::sample::Index,
    ) {
        feed(&stream, &[cut.index(stream.len() + 1)]);
    }

    #[test]
    fn encoded_commands_parse_back(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 1..6)) {
        let mut input = Vec::new();
        encode_command(&args.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut input);
        prop_assert_eq!(parse(&input), Ok((Parsed::Complete { consumed: input.len() }, args)));
    }
}
