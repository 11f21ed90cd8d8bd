//! Glob patterns over bytes, as Redis matches them (`KEYS`, `SCAN MATCH`, `CONFIG GET`, `PSUBSCRIBE`, ACL).
//!
//! ```text
//!   *  any bytes    ?  one byte    [a-c^\]]  one of these (`[^..]`: none of these)    \x  the byte x
//! ```
//!
//! A mismatch goes back to the last `*` only, which is enough: so the time is at most pattern times text, never
//! exponential. As in Redis, nothing but the empty pattern matches the empty text.

/// Whether letters match in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Bytes are compared as they are.
    Sensitive,
    /// ASCII letters match in either case.
    Ignored,
}

/// Whether all of `text` matches `pattern`.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut read) = (0, 0);
    let mut last_star = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            if at == pattern.len() {
                return true;
            }
            last_star = Some((at, read));
            continue;
        }
        match match_one(pattern, at, text[read], case) {
            Some(next) => (at, read) = (next, read + 1),
            None => {
                let Some((after_star, begin)) = last_star else { return false };
                (at, read) = (after_star, begin + 1);
                last_star = Some((after_star, begin + 1));
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The bytes that every text matching `pattern` begins with.
#[must_use]
pub fn literal_prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut rest = pattern;
    loop {
        rest = match rest {
            [] | [b'*' | b'?' | b'[', ..] => return prefix,
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                prefix.push(*byte);
                after
            }
        };
    }
}

/// The place in the pattern after what matches `byte` at `at`; `None` when nothing there does.
fn match_one(pattern: &[u8], at: usize, byte: u8, case: Case) -> Option<usize> {
    match *pattern.get(at..)? {
        [] => None,
        [b'?', ..] => Some(at + 1),
        [b'[', ..] => match_class(pattern, at + 1, byte, case),
        [b'\\', escaped, ..] => same(escaped, byte, case).then_some(at + 2),
        [literal, ..] => same(literal, byte, case).then_some(at + 1),
    }
}

/// Like [`match_one`] for a class whose content begins at `at`. One that is never closed ends with the pattern.
fn match_class(pattern: &[u8], mut at: usize, byte: u8, case: Case) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut hit = false;
    let end = loop {
        match pattern[at..] {
            [] => break at,
            [b'\\', escaped, ..] => {
                hit |= escaped == byte;
                at += 2;
            }
            [b']', ..] => break at + 1,
            [from, b'-', to, ..] => {
                let (from, to, byte) = (folded(from, case), folded(to, case), folded(byte, case));
                hit |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                hit |= same(literal, byte, case);
                at += 1;
            }
        }
    };
    (hit != negated).then_some(end)
}

fn same(a: u8, b: u8, case: Case) -> bool {
    folded(a, case) == folded(b, case)
}

const fn folded(byte: u8, case: Case) -> u8 {
    match case {
        Case::Sensitive => byte,
        Case::Ignored => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
