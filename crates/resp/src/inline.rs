//! The words of an inline request: a line typed by a person, split as Redis's `sdssplitargs` does.
//!
//! Two sets of blanks differ, as in Redis: six bytes are skipped before a word, but only four of them end a bare one,
//! so a vertical tab or form feed inside a word belongs to it.

use alloc::vec::Vec;

use memchr::memchr2;

use crate::protocol_error::ProtocolError;
use crate::request::{Place, Request, Span};

/// Splits `line`, which starts at offset 0 of the input, has no line end and no NUL, into the arguments of `request`.
pub(crate) fn split(line: &[u8], request: &mut Request) -> Result<(), ProtocolError> {
    if memchr2(b'"', b'\'', line).is_none() {
        split_bare(line, &mut request.spans);
        return Ok(());
    }
    let mut scratch = Vec::with_capacity(line.len());
    let mut rest = skip_blanks(line);
    while !rest.is_empty() {
        let start = scratch.len();
        rest = skip_blanks(word(rest, &mut scratch)?);
        request.spans.push(Span { start, end: scratch.len() });
    }
    request.place = Place::Scratch(scratch);
    Ok(())
}

fn split_bare(line: &[u8], spans: &mut Vec<Span>) {
    let mut rest = skip_blanks(line);
    while !rest.is_empty() {
        let start = line.len() - rest.len();
        let len = rest.iter().position(|&byte| ends_word(byte)).unwrap_or(rest.len());
        spans.push(Span { start, end: start + len });
        rest = skip_blanks(&rest[len..]);
    }
}

/// Appends the first word of `rest`, its quotes resolved, and returns what follows it.
fn word<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [b'"', quoted @ ..] => return double_quoted(quoted, out),
            [b'\'', quoted @ ..] => return single_quoted(quoted, out),
            [byte, after @ ..] if !ends_word(*byte) => {
                out.push(*byte);
                rest = after;
            }
            _ => return Ok(rest),
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [b'"', after @ ..] => return closed(after),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_digit(*high) << 4 | hex_digit(*low), after)
            }
            [b'\\', escaped, after @ ..] => (escape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
        out.push(byte);
        rest = after;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [b'\'', after @ ..] => return closed(after),
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
        out.push(byte);
        rest = after;
    }
}

/// A closing quote ends its word, so a blank or nothing must follow.
fn closed(after: &[u8]) -> Result<&[u8], ProtocolError> {
    match after.first() {
        Some(&byte) if !is_blank(byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(after),
    }
}

fn escape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of an ASCII hexadecimal digit.
fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|&&byte| is_blank(byte)).count();
    &bytes[blanks..]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut request = Request::new();
        split(line, &mut request)?;
        Ok(request.args(line).map(<[u8]>::to_vec).collect())
    }

    #[track_caller]
    fn assert_words(line: &[u8], expected: &[&[u8]]) {
        assert_eq!(words(line).unwrap(), expected);
    }

    #[test]
    fn bare_words_end_at_four_blanks_and_start_after_six() {
        assert_words(b"", &[]);
        assert_words(b" \t\x0b\x0c\r ", &[]);
        assert_words(b"PING", &[b"PING"]);
        assert_words(b"  set\tkey  value ", &[b"set", b"key", b"value"]);
        assert_words(b"echo a\x0bb", &[b"echo", b"a\x0bb"]);
        assert_words(b"\x0becho a\rb", &[b"echo", b"a", b"b"]);
    }

    #[test]
    fn double_quotes_resolve_escapes() {
        assert_words(br#"echo "a\x41\n\q\xzz""#, &[b"echo", b"aA\nqxzz"]);
        assert_words(br#""\r\t\b\a\"\\\xfF""#, &[b"\r\t\x08\x07\"\\\xff"]);
        assert_words(br#"echo """#, &[b"echo", b""]);
        assert_words(br#"echo foo"bar baz""#, &[b"echo", b"foobar baz"]);
        assert_words(br#""it's" x"#, &[b"it's", b"x"]);
    }

    #[test]
    fn single_quotes_resolve_only_the_quote() {
        assert_words(br"echo 'a\'b'", &[b"echo", b"a'b"]);
        assert_words(br"echo 'ab\n'", &[b"echo", br"ab\n"]);
        assert_words(br#"'say "x"' ''"#, &[br#"say "x""#, b""]);
    }

    #[test]
    fn open_or_touched_quotes_are_refused() {
        for line in [&br#"set "a"#[..], br#"set "a"b c"#, br"'", br"'a'b", br#""\"#, br#""\""#, br"'\'", br#"'a'"b""#] {
            assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{line:?}");
        }
    }
}
