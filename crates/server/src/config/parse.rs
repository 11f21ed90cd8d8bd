//! The grammar of one configuration line: words, quotes, escapes. Redis's rules, so that a redis.conf reads the same.
//!
//! ```text
//! requirepass "a \"word\"\x00" 'it''s an error' # and this is three more words: a comment is a whole line
//! ```

/// Why a line has no words. Redis's text.
pub const UNBALANCED: &str = "Unbalanced quotes in configuration line";

/// The words of a line. The error says why there are none.
pub fn split_words(line: &[u8]) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some(first) = rest.first() {
        let mut word = Vec::new();
        rest = match first {
            b'"' => double_quoted(&rest[1..], &mut word)?,
            b'\'' => single_quoted(&rest[1..], &mut word)?,
            _ => bare(rest, &mut word)?,
        };
        words.push(String::from_utf8(word).map_err(|_| NOT_UTF8)?);
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// The refusal of bytes that are no text. Redis accepts them; here every value is text.
pub const NOT_UTF8: &str = "argument must be UTF-8 text";

/// A word without quotes; a quote inside it opens a quoted rest, as in `a"b c"`.
fn bare<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    while let [byte, after @ ..] = rest {
        match byte {
            b'"' => return double_quoted(after, word),
            b'\'' => return single_quoted(after, word),
            byte if byte.is_ascii_whitespace() || *byte == 0 => return Ok(after),
            byte => word.push(*byte),
        }
        rest = after;
    }
    Ok(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(nibble(*high) << 4 | nibble(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return closed(after),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return Err(UNBALANCED),
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    loop {
        let (byte, after) = match rest {
            [b'\\', b'\'', after @ ..] => (b'\'', after),
            [b'\'', after @ ..] => return closed(after),
            [byte, after @ ..] => (*byte, after),
            [] => return Err(UNBALANCED),
        };
        word.push(byte);
        rest = after;
    }
}

/// After a closing quote comes a space or the end.
fn closed(rest: &[u8]) -> Result<&[u8], &'static str> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(UNBALANCED),
        Some(_) | None => Ok(rest),
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The words of a parameter that is a command line.
///
/// # Errors
/// When a quote is not closed.
pub fn words(line: &str) -> Result<Vec<String>, &'static str> {
    split_words(line.as_bytes())
}

/// A line that `split_words` takes apart into `words` again.
pub fn join_words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// `word` as it is if that is safe, else in double quotes.
pub fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || (letter.is_ascii_graphic() && !"\"'\\".contains(letter));
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
