//! Tests of the glob against Redis's rules.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(pattern: &str, text: &str, expected: bool) {
    assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive), expected, "{pattern:?} on {text:?}");
}

#[test]
fn stars_and_question_marks() {
    check("", "", true);
    check("", "a", false);
    check("*", "", false);
    check("*", "a", true);
    check("**", "abc", true);
    check("a*", "a", true);
    check("a**", "a", true);
    check("a*c", "abbbc", true);
    check("a*c", "abbbd", false);
    check("*a*b*", "xxaxxbxx", true);
    check("?", "", false);
    check("?", "ab", false);
    check("a?c", "abc", true);
    check("*?", "a", true);
    check("a*?", "a", false);
}

#[test]
fn classes() {
    check("h[ae]llo", "hello", true);
    check("h[ae]llo", "hillo", false);
    check("h[^e]llo", "hallo", true);
    check("h[^e]llo", "hello", false);
    check("[a-c]", "b", true);
    check("[c-a]", "b", true);
    check("[a-c]", "d", false);
    check("[]", "a", false);
    check("[]a]", "a", false);
    check("[^]", "a", true);
    check("[\\]]", "]", true);
    check("[abc", "b", true);
    check("[", "[", false);
    check("[^", "x", true);
    check("[a-", "-", true);
    check("[a-]", "-", false);
}

#[test]
fn escapes() {
    check("\\*", "*", true);
    check("\\*", "a", false);
    check("a\\", "a\\", true);
    check("\\a\\b", "ab", true);
}

#[test]
fn case_is_ignored_on_request_but_not_behind_an_escape_in_a_class() {
    let matches = |pattern: &[u8], text: &[u8]| matches(pattern, text, Case::Ignored);
    assert!(matches(b"MAX*", b"maxmemory"));
    assert!(matches(b"[A-C]x", b"bX"));
    assert!(matches(b"\\Q", b"q"));
    assert!(!matches(b"[\\Q]", b"q"));
}

#[test]
fn prefixes_stop_at_the_first_wildcard() {
    assert_eq!(literal_prefix(b"user:*"), b"user:");
    assert_eq!(literal_prefix(b"a\\*b?c"), b"a*b");
    assert_eq!(literal_prefix(b"[ab]"), b"");
    assert_eq!(literal_prefix(b"plain"), b"plain");
    assert_eq!(literal_prefix(b"a\\"), b"a\\");
}

#[test]
fn nested_stars_do_not_explode() {
    let pattern = [b"a*".repeat(50), b"b".to_vec()].concat();
    assert!(!matches(&pattern, &[b'a'; 5000], Case::Sensitive));
}

/// Matching by trying everything, as the definition reads.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*', rest @ ..], _) => naive(rest, text) || !text.is_empty() && naive(pattern, &text[1..]),
        (_, []) => false,
        (_, [byte, after @ ..]) => {
            match_one(pattern, 0, *byte, Case::Sensitive).is_some_and(|next| naive(&pattern[next..], after))
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_trying_everything(pattern in "[ab*?\\[\\]^\\\\-]{0,8}", text in "[ab\\]^-]{1,8}") {
        prop_assert_eq!(
            matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive),
            naive(pattern.as_bytes(), text.as_bytes())
        );
    }

    #[test]
    fn no_input_panics(pattern: Vec<u8>, text: Vec<u8>) {
        let _ = matches(&pattern, &text, Case::Ignored);
    }

    #[test]
    fn what_matches_has_the_prefix(pattern in "[ab*?\\[\\]\\\\]{0,6}", text in "[ab]{1,6}") {
        if matches(pattern.as_bytes(), text.as_bytes(), Case::Sensitive) {
            prop_assert!(text.as_bytes().starts_with(&literal_prefix(pattern.as_bytes())));
        }
    }
}
