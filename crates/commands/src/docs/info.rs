//! One command as `COMMAND INFO` and `COMMAND DOCS` show it.

use resp::Reply;

use crate::spec::{Argument, ArgumentKind, Begin, Command, Find, KeyFlags, KeySpec, Need, Repeat, Spec};

/// An entry of `COMMAND INFO`.
pub(super) fn write_info(command: &Command, reply: &mut Reply) {
    let spec = &command.spec;
    reply.array(10);
    reply.bulk(spec.full_name().as_bytes());
    reply.integer(i64::from(spec.arity));
    write_words(reply, &spec.flags.words().collect::<Vec<_>>());
    let (first, last, step) = spec.key_range();
    for number in [first, last, step] {
        reply.integer(i64::from(number));
    }
    let categories: Vec<_> = spec.all_categories().words().map(|word| format!("@{word}")).collect();
    reply.set(categories.len());
    for category in categories {
        reply.simple(&category);
    }
    reply.set(spec.tips.len());
    for tip in spec.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(spec.keys.len());
    for key in spec.keys {
        write_key_spec(key, reply);
    }
    // As Redis has it: a set as long as it is empty.
    match command.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    for subcommand in command.subcommands {
        write_info(subcommand, reply);
    }
}

/// The flags of a key, as a set of words.
pub(super) fn write_key_flags(flags: KeyFlags, reply: &mut Reply) {
    write_words(reply, &flags.words().collect::<Vec<_>>());
}

fn write_words(reply: &mut Reply, words: &[&str]) {
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

fn write_key_spec(key: &KeySpec, reply: &mut Reply) {
    reply.map(3);
    reply.bulk(b"flags");
    write_key_flags(key.flags, reply);
    reply.bulk(b"begin_search");
    match key.begin {
        Begin::Index(index) => write_search(reply, "index", &[("index", i64::from(index))]),
        Begin::Unknown => write_search(reply, "unknown", &[]),
        Begin::Keyword { word, from } => {
            write_search_type(reply, "keyword");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            write_number(reply, "startfrom", i64::from(from));
        }
    }
    reply.bulk(b"find_keys");
    match key.find {
        Find::Range { last, step, limit } => write_search(
            reply,
            "range",
            &[("lastkey", i64::from(last)), ("keystep", i64::from(step)), ("limit", i64::from(limit))],
        ),
        Find::Unknown => write_search(reply, "unknown", &[]),
        Find::Count { count, first, step } => write_search(
            reply,
            "keynum",
            &[("keynumidx", i64::from(count)), ("firstkey", i64::from(first)), ("keystep", i64::from(step))],
        ),
    }
}

fn write_search(reply: &mut Reply, kind: &str, numbers: &[(&str, i64)]) {
    write_search_type(reply, kind);
    reply.map(numbers.len());
    for (name, number) in numbers {
        write_number(reply, name, *number);
    }
}

fn write_search_type(reply: &mut Reply, kind: &str) {
    reply.map(2);
    write_text(reply, "type", kind);
    reply.bulk(b"spec");
}

fn write_number(reply: &mut Reply, name: &str, number: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(number);
}

fn write_text(reply: &mut Reply, name: &str, text: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(text.as_bytes());
}

/// An entry of `COMMAND DOCS`: the name, and a map.
pub(super) fn write_docs(command: &Command, reply: &mut Reply) {
    let spec = &command.spec;
    reply.bulk(spec.full_name().as_bytes());
    reply.map(docs_len(command));
    write_text(reply, "summary", spec.summary);
    write_text(reply, "since", spec.since);
    write_text(reply, "group", spec.group.name());
    if !spec.complexity.is_empty() {
        write_text(reply, "complexity", spec.complexity);
    }
    if let Some(advice) = spec.deprecated {
        reply.bulk(b"doc_flags");
        write_words(reply, &["deprecated"]);
        write_text(reply, "deprecated_since", advice.since);
        write_text(reply, "replaced_by", advice.replaced_by);
    }
    if !spec.arguments.is_empty() {
        reply.bulk(b"arguments");
        write_arguments(spec.arguments, reply);
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for subcommand in command.subcommands {
            write_docs(subcommand, reply);
        }
    }
}

fn docs_len(command: &Command) -> usize {
    let Spec { complexity, deprecated, arguments, .. } = command.spec;
    3 + usize::from(!complexity.is_empty())
        + 3 * usize::from(deprecated.is_some())
        + usize::from(!arguments.is_empty())
        + usize::from(!command.subcommands.is_empty())
}

fn write_arguments(arguments: &[Argument], reply: &mut Reply) {
    reply.array(arguments.len());
    for argument in arguments {
        write_argument(argument, reply);
    }
}

fn write_argument(argument: &Argument, reply: &mut Reply) {
    let mut flags = Vec::new();
    if argument.need == Need::Optional {
        flags.push("optional");
    }
    match argument.repeat {
        Repeat::Once => {}
        Repeat::Multiple => flags.push("multiple"),
        Repeat::MultipleToken => flags.extend(["multiple", "multiple_token"]),
    }
    let parts = match argument.kind {
        ArgumentKind::OneOf(parts) | ArgumentKind::Block(parts) => Some(parts),
        ArgumentKind::String
        | ArgumentKind::Integer
        | ArgumentKind::Double
        | ArgumentKind::Key
        | ArgumentKind::Pattern
        | ArgumentKind::UnixTime
        | ArgumentKind::PureToken => None,
    };
    // Since 7.2 Redis says how a plain argument is displayed, too.
    let shown = parts.is_none();
    let optional = [argument.key_spec.is_some(), argument.token.is_some(), argument.since.is_some(), shown];
    let count = optional.into_iter().filter(|there| *there).count();
    reply.map(2 + count + usize::from(!flags.is_empty()) + usize::from(parts.is_some()));
    write_text(reply, "name", argument.name);
    write_text(reply, "type", argument.kind.name());
    if shown {
        write_text(reply, "display_text", argument.name);
    }
    if let Some(key_spec) = argument.key_spec {
        write_number(reply, "key_spec_index", i64::from(key_spec));
    }
    if let Some(token) = argument.token {
        write_text(reply, "token", token);
    }
    if let Some(since) = argument.since {
        write_text(reply, "since", since);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        write_words(reply, &flags);
    }
    if let Some(parts) = parts {
        reply.bulk(b"arguments");
        write_arguments(parts, reply);
    }
}

#[cfg(test)]
mod tests {
    use resp::Protocol;

    use super::*;
    use crate::table;

    #[test]
    fn subcommands_are_an_array_and_none_an_empty_set() {
        let entry = |name: &[u8]| {
            let mut reply = Reply::new(Protocol::Resp3);
            write_info(table::lookup(name).unwrap(), &mut reply);
            String::from_utf8(reply.into_buffer()).unwrap()
        };
        let (object, get) = (entry(b"object"), entry(b"get"));
        let count = table::lookup(b"object").unwrap().subcommands.len();
        assert!(object.contains(&format!("\r\n*{count}\r\n*10\r\n")), "{object}");
        assert!(get.ends_with("~0\r\n"), "{get}");
    }
}
