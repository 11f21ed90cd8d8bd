//! Tests of the grammar of a line.

use crate::config::parse::{NOT_UTF8, UNBALANCED, join_words, quote, split_words};

#[test]
fn a_line_is_words() {
    let cases: [(&[u8], &[&str]); 12] = [
        (b"", &[]),
        (b"  port\t 7000 ", &["port", "7000"]),
        (b"save \"\"", &["save", ""]),
        (b"a 'b c' \"d e\"", &["a", "b c", "d e"]),
        (br#"x "\n\r\t\b\a\x41\"\\\q""#, &["x", "\n\r\t\u{8}\u{7}A\"\\q"]),
        (br"x 'it\'s \n'", &["x", r"it's \n"]),
        (br"x a\nb", &["x", r"a\nb"]),
        (b"x a\"b c\"", &["x", "ab c"]),
        (b"port 1 # no comment", &["port", "1", "#", "no", "comment"]),
        (br#"x "\xc3\xa4""#, &["x", "\u{e4}"]),
        (br#"x "\xzz""#, &["x", "xzz"]),
        ("x \u{e4} b".as_bytes(), &["x", "\u{e4}", "b"]),
    ];
    for (line, words) in cases {
        assert_eq!(split_words(line).unwrap(), words, "{}", line.escape_ascii());
    }
}

#[test]
fn quotes_must_balance() {
    for line in [&b"a \"b"[..], b"a 'b", b"a \"b\"c", b"a 'b'c", b"a b\"c\"d", b"a \"b\\\"", b"a \"b\\"] {
        assert_eq!(split_words(line), Err(UNBALANCED), "{}", line.escape_ascii());
    }
    assert_eq!(split_words(b"a \"\\xff\""), Err(NOT_UTF8));
}

#[test]
fn only_odd_words_are_quoted() {
    assert_eq!(join_words(["port", "7000", "-::1", "a b", ""]), "port 7000 -::1 \"a b\" \"\"");
    assert_eq!(quote("#x"), "#x");
    assert_eq!(quote("\0\n'"), "\"\\x00\\n'\"");
    assert_eq!(quote("\u{e4}\u{a0}"), "\"\u{e4}\u{a0}\"");
}

#[test]
fn every_word_survives_a_line() {
    for first in 0..=0x17f {
        for rest in ["", "x", "\"", "'", "\\", "x\\", " ", "\n"] {
            let word = format!("{}{rest}", char::from_u32(first).unwrap());
            assert_eq!(split_words(join_words(["name", &word]).as_bytes()).unwrap(), ["name", &word]);
        }
    }
}
