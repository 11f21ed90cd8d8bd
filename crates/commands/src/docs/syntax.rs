//! How a command is written, as one line.

use crate::spec::{Argument, ArgumentKind, Need, Repeat, Spec};

/// The command line of a command: words in capitals as they are, arguments by their names, `[..]` optional, `|` a
/// choice, `...` repeated.
#[must_use]
pub fn syntax(spec: &Spec) -> String {
    let mut line = spec.container.map(|container| container.to_uppercase() + " ").unwrap_or_default();
    line += &spec.name.to_uppercase();
    for argument in spec.arguments {
        line.push(' ');
        line += &outer(argument);
    }
    line
}

/// What stands after the name.
pub(super) fn arguments(spec: &Spec) -> String {
    spec.arguments.iter().map(outer).collect::<Vec<_>>().join(" ")
}

fn outer(argument: &Argument) -> String {
    let inner = inner(argument);
    let whole = match argument.repeat {
        Repeat::Once => with_token(argument, &inner),
        Repeat::Multiple => with_token(argument, &format!("{inner} [{inner} ...]")),
        Repeat::MultipleToken => {
            let one = with_token(argument, &inner);
            format!("{one} [{one} ...]")
        }
    };
    match (argument.need, argument.kind) {
        (Need::Optional, _) => format!("[{whole}]"),
        (Need::Required, ArgumentKind::OneOf(_)) if argument.token.is_none() => format!("<{whole}>"),
        (Need::Required, _) => whole,
    }
}

fn with_token(argument: &Argument, inner: &str) -> String {
    match argument.token {
        None => inner.to_owned(),
        Some(token) => format!("{} {inner}", quoted(token)).trim_end().to_owned(),
    }
}

fn inner(argument: &Argument) -> String {
    match argument.kind {
        ArgumentKind::PureToken => String::new(),
        ArgumentKind::OneOf(choices) => choices.iter().map(outer).collect::<Vec<_>>().join(" | "),
        ArgumentKind::Block(parts) => parts.iter().map(outer).collect::<Vec<_>>().join(" "),
        ArgumentKind::String
        | ArgumentKind::Integer
        | ArgumentKind::Double
        | ArgumentKind::Key
        | ArgumentKind::Pattern
        | ArgumentKind::UnixTime => argument.name.to_owned(),
    }
}

fn quoted(token: &str) -> &str {
    if token.is_empty() { "\"\"" } else { token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let (container, name) = name.split_once('|').unwrap_or((name, ""));
        let command = table::lookup(container.as_bytes()).unwrap();
        let command = if name.is_empty() { command } else { command.subcommand(name.as_bytes()).unwrap() };
        assert_eq!(syntax(&command.spec), expected);
    }

    #[test]
    fn lines() {
        check("dbsize", "DBSIZE");
        check("mset", "MSET key value [key value ...]");
        check("expire", "EXPIRE key seconds [NX | XX | GT | LT]");
        check("bitcount", "BITCOUNT key [start end [BYTE | BIT]]");
        check("object|encoding", "OBJECT ENCODING key");
        check("client|no-evict", "CLIENT NO-EVICT <ON | OFF>");
        check("lcs", "LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]");
    }
}
