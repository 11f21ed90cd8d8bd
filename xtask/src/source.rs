//! The code of a Rust file without its comments and literals.
//!
//! Everything inside a comment, a string or a character becomes blanks; line breaks stay, so line numbers do too. It
//! follows the lexical rules closely enough for files that compile, and knows nothing of syntax.

/// Blanks out comments and literals.
pub fn code_of(text: &str) -> String {
    let mut scan = Scan { rest: text, code: String::with_capacity(text.len()) };
    while let Some(next) = scan.rest.chars().next() {
        if scan.rest.starts_with("//") {
            scan.blank(scan.rest.find('\n').unwrap_or(scan.rest.len()));
        } else if scan.rest.starts_with("/*") {
            scan.blank(block_comment(scan.rest));
        } else if let Some(length) = raw_string(scan.rest).filter(|_| !scan.inside_word()) {
            scan.blank(length);
        } else if next == '"' {
            scan.blank(quoted(scan.rest, '"'));
        } else if next == '\'' && is_char_literal(scan.rest) {
            scan.blank(quoted(scan.rest, '\''));
        } else {
            scan.code.push(next);
            scan.rest = &scan.rest[next.len_utf8()..];
        }
    }
    scan.code
}

struct Scan<'a> {
    rest: &'a str,
    code: String,
}

impl Scan<'_> {
    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }

    /// Whether what comes next continues a name, so that an `r` is not the start of a raw string.
    fn inside_word(&self) -> bool {
        self.code.chars().next_back().is_some_and(is_word)
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the block comment, nested ones included, that `text` begins with.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// Length of the raw string (`r".."`, `br#".."#`, ..) that `text` begins with.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(inside.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Length of the literal between two `quote`s that `text` begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        code_of(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn comments_and_literals_vanish_and_code_stays() {
        assert_eq!(words("a // b\nc"), ["a", "c"]);
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(words(r#"f("x \" y", 'z', '\'', b'q')"#), ["f(", ",", ",", ",", "b", ")"]);
        assert_eq!(words(r###"a r#"b " c"# d"###), ["a", "d"]);
        assert_eq!(words("fn f<'a>(x: &'a str)"), ["fn", "f<'a>(x:", "&'a", "str)"]);
        assert_eq!(words("for\"x\""), ["for"]);
    }

    #[test]
    fn line_numbers_stay() {
        let text = "a\n/* b\nc */ d\n\"e\nf\" g\n// é\nh";
        let code = code_of(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(code.lines().nth(2).map(str::trim), Some("d"));
        assert_eq!(code.lines().nth(6), Some("h"));
    }
}
