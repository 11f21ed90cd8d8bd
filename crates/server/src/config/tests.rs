//! Tests of the configuration: the table, `CONFIG GET` and `SET`; loading and rewriting have files of their own.

mod load;
mod parse;
mod rewrite;

use super::*;
use std::collections::BTreeSet;

/// Enough of a glob for these tests: a star at the end.
fn star(pattern: &[u8], name: &[u8]) -> bool {
    pattern.strip_suffix(b"*").map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn get(config: &Config, name: &str) -> String {
    let found = config.get(&[name.as_bytes()], star);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0].1.clone()
}

fn set(config: &mut Config, name: &str, value: &str) -> Result<Vec<&'static str>, String> {
    config.set(&[(name.as_bytes(), value.as_bytes())]).map_err(|error| error.to_string())
}

/// Sets through the row, so that parameters of the start can be tested too.
fn assign(name: &str, value: &str) -> Result<Config, String> {
    let mut config = Config::default();
    let (parameter, _) = Parameter::find(name).unwrap();
    parameter.assign(&mut config, &[value.to_owned()]).map(|()| config)
}

fn foreign_names() -> impl Iterator<Item = &'static str> {
    foreign::IGNORED.iter().copied().chain(foreign::REFUSED.iter().map(|refused| refused.name))
}

#[test]
fn names_are_unique_and_in_lower_case() {
    let mut seen = BTreeSet::new();
    for name in PARAMETERS.iter().flat_map(Parameter::names).chain(foreign_names()) {
        assert_eq!(name, name.to_ascii_lowercase());
        assert!(seen.insert(name), "{name} twice");
    }
}

#[test]
fn every_default_is_made_of_its_own_words() {
    let default = Config::default();
    for parameter in PARAMETERS {
        let mut config = Config::default();
        parameter
            .assign(&mut config, &parameter.line(&default))
            .unwrap_or_else(|why| panic!("{}: {why}", parameter.name));
        assert_eq!(config, default, "{}", parameter.name);
        parameter
            .assign(&mut config, &[parameter.reply(&default)])
            .unwrap_or_else(|why| panic!("{}: {why}", parameter.name));
        assert_eq!(config, default, "{}", parameter.name);
        assert_eq!(parameter.assign(&mut config, &[]), Err("wrong number of arguments".to_owned()));
        assert!(parameter.help().ends_with('.') && !parameter.accepts().is_empty(), "{}", parameter.name);
    }
}

#[test]
fn every_bound_fits_its_type() {
    for parameter in PARAMETERS {
        let mut config = Config::default();
        for word in [i64::MIN.to_string(), "-1".to_owned(), i64::MAX.to_string()] {
            let Err(why) = parameter.assign(&mut config, &[word]) else {
                continue;
            };
            let Some(bounds) = why.strip_prefix("argument must be between ") else {
                continue;
            };
            let (least, most) = bounds.strip_suffix(" inclusive").unwrap().split_once(" and ").unwrap();
            for bound in [least, most] {
                parameter.assign(&mut config, &[bound.to_owned()]).unwrap();
                assert_eq!(parameter.reply(&config), bound, "{}", parameter.name);
            }
        }
    }
}

#[test]
fn get_answers_patterns_aliases_and_any_case() {
    let config = Config::default();
    assert_eq!(config.get(&[b"PORT"], star), [("port", "6379".to_owned())]);
    assert_eq!(config.get(&[b"nothing"], star), []);
    let names: Vec<_> =
        config.get(&[b"hash-*", b"port", b"hash-max-listpack-value"], star).iter().map(|pair| pair.0).collect();
    let hash =
        ["hash-max-listpack-entries", "hash-max-ziplist-entries", "hash-max-listpack-value", "hash-max-ziplist-value"];
    assert_eq!(names, [&["port"], hash.as_slice()].concat());
}

#[test]
fn replies_have_the_form_of_redis() {
    let config = Config::default();
    let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    let expected = [
        ("bind", "127.0.0.1 -::1"),
        ("port", "6379"),
        ("unixsocketperm", "0"),
        ("protected-mode", "yes"),
        ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"),
        ("appendfsync", "everysec"),
        ("proto-max-bulk-len", "536870912"),
        ("client-output-buffer-limit", limits),
        ("save", ""),
        ("notify-keyspace-events", ""),
        ("slaveof", ""),
        ("slave-priority", "100"),
        ("lua-time-limit", "5000"),
        ("oom-score-adj-values", "0 200 800"),
        ("list-max-ziplist-size", "-2"),
    ];
    for (name, value) in expected {
        assert_eq!(get(&config, name), value, "{name}");
    }
}

#[test]
fn values_are_normalized() {
    let cases = [
        ("maxmemory", "5KB", "5120"),
        ("maxmemory", "1k", "1000"),
        ("maxmemory", "2Mb", "2097152"),
        ("maxmemory", "3m", "3000000"),
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory", "1G", "1000000000"),
        ("maxmemory", "10b", "10"),
        ("maxmemory-clients", "50%", "50%"),
        ("maxmemory-clients", "1kb", "1024"),
        ("unixsocketperm", "0770", "770"),
        ("appendfsync", "ALWAYS", "always"),
        ("protected-mode", "No", "no"),
        ("maxmemory-policy", "ALLKEYS-LRU", "allkeys-lru"),
        ("save", "900  1 300 10", "900 1 300 10"),
        ("save", "", ""),
        ("bind", "* -::*", "* -::*"),
        ("bind", "", ""),
        ("replicaof", "localhost 7000", "localhost 7000"),
        ("replicaof", "NO ONE", ""),
        ("list-max-listpack-size", "-5", "-5"),
        ("slowlog-log-slower-than", "-1", "-1"),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "gEK", "gKE"),
        ("notify-keyspace-events", "Kg$lshzxetd", "AK"),
        ("notify-keyspace-events", "mEAKn", "AKEmn"),
        ("notify-keyspace-events", "nK", "Kn"),
    ];
    for (name, value, reply) in cases {
        let config = assign(name, value).unwrap_or_else(|why| panic!("{name} {value}: {why}"));
        assert_eq!(get(&config, name), reply, "{name} {value}");
    }
}

const POLICIES: &str = "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, \
                        volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction";
const INTEGER: &str = "argument couldn't be parsed into an integer";
const MEMORY: &str = "argument must be a memory value";
const LIMITS: &str = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";

/// Parameter, value, reason: as redis-server 7.0.15, but it reads a bare unit as 0, and an overflow as some number.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("maxclients", "abc", INTEGER),
    ("maxclients", "", INTEGER),
    ("maxclients", "07", INTEGER),
    ("maxclients", "+7", INTEGER),
    ("maxclients", " 7", INTEGER),
    ("maxclients", "99999999999999999999", INTEGER),
    ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
    ("timeout", "99999999999999", "argument must be between 0 and 2147483647 inclusive"),
    ("slowlog-log-slower-than", "-5", "argument must be between -1 and 9223372036854775807 inclusive"),
    ("proto-max-bulk-len", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
    ("maxmemory", "foo", MEMORY),
    ("maxmemory", "1.5gb", MEMORY),
    ("maxmemory", "-1", MEMORY),
    ("maxmemory", "b", MEMORY),
    ("maxmemory", "5gib", MEMORY),
    ("maxmemory", "99999999999gb", MEMORY),
    ("maxmemory-clients", "x", "argument must be a memory or percent value"),
    ("maxmemory-clients", "-1%", "argument must be a memory or percent value"),
    ("maxmemory-clients", "150%", "percentage argument must be less or equal to 100"),
    ("protected-mode", "maybe", "argument must be 'yes' or 'no'"),
    ("maxmemory-policy", "xx", POLICIES),
    ("appendfsync", "always yes", "argument(s) must be one of the following: everysec, always, no"),
    ("loglevel", "foo", "argument(s) must be one of the following: debug, verbose, notice, warning"),
    ("save", "1", "Invalid save parameters"),
    ("save", "a b", "Invalid save parameters"),
    ("save", "0 1", "Invalid save parameters"),
    ("save", "1 -1", "Invalid save parameters"),
    ("client-output-buffer-limit", "foo", "Wrong number of arguments in buffer limit configuration."),
    ("client-output-buffer-limit", "foo 1 1 1", "Invalid client class specified in buffer limit configuration."),
    ("client-output-buffer-limit", "normal x 1 1", LIMITS),
    ("client-output-buffer-limit", "normal 1 0 -3", LIMITS),
    ("notify-keyspace-events", "Q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ("oom-score-adj-values", "1 2", "wrong number of arguments"),
    ("oom-score-adj-values", "0 x 2", "Invalid oom-score-adj-values, elements must be between -2000 and 2000."),
    ("oom-score-adj-values", "0 1 2001", "Invalid oom-score-adj-values, elements must be between -2000 and 2000."),
    ("databases", "3", "can't set immutable config"),
    ("replicaof", "a 1", "can't set immutable config"),
];

#[test]
fn refusals_have_the_words_of_redis() {
    for (name, value, reason) in REFUSALS {
        let mut config = Config::default();
        let error = set(&mut config, name, value).expect_err(value);
        assert_eq!(
            error,
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"),
            "{value}"
        );
        assert_eq!(config, Config::default());
    }
}

#[test]
fn refusals_at_start_have_the_words_of_redis() {
    let cases = [
        ("port", "99999", "argument must be between 0 and 65535 inclusive"),
        ("unixsocketperm", "999", "argument couldn't be parsed as an octal number"),
        ("unixsocketperm", "1777", "argument must be between 0 and 777 inclusive"),
        ("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "Too many bind addresses specified."),
        ("replicaof", "a", "wrong number of arguments"),
        ("replicaof", "a 99999", "Invalid master port"),
        ("replicaof", "a 0", "Invalid master port"),
        ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
        ("appendfilename", "", "appendfilename can't be empty"),
    ];
    for (name, value, reason) in cases {
        assert_eq!(assign(name, value), Err(reason.to_owned()), "{name} {value}");
    }
}

#[test]
fn set_is_all_or_nothing_and_says_what_changed() {
    let mut config = Config::default();
    let changed =
        config.set(&[(b"TIMEOUT", b"5"), (b"slave-priority", b"7"), (b"hz", b"10"), (b"replica-priority", b"8")]);
    assert_eq!(changed, Ok(vec!["timeout", "replica-priority"]));
    assert_eq!((config.timeout, config.replica_priority), (5, 8));

    let before = config.clone();
    assert!(config.set(&[(b"timeout", b"6"), (b"maxmemory", b"x")]).is_err());
    assert_eq!(config, before);
}

#[test]
fn set_names_the_culprit_as_redis_does() {
    let mut config = Config::default();
    let mut error = |pairs: &[(&[u8], &[u8])]| config.set(pairs).expect_err("refused").to_string();
    let unknown = "ERR Unknown option or number of arguments for CONFIG SET - ";
    let failed = "ERR CONFIG SET failed (possibly related to argument ";
    assert_eq!(error(&[(b"NoSuch", b"1")]), format!("{unknown}'NoSuch'"));
    assert_eq!(error(&[(b"a\r\n\xff", b"1")]), format!("{unknown}'a  \u{fffd}'"));
    assert_eq!(error(&[(b"hz", b"1"), (b"HZ", b"2")]), format!("{failed}'hz') - duplicate parameter"));
    assert_eq!(
        error(&[(b"daemonize", b"no"), (b"x", b"1")]),
        format!("{failed}'daemonize') - can't set immutable config")
    );
    assert_eq!(
        error(&[(b"hz", b"x"), (b"databases", b"1")]),
        format!("{failed}'databases') - can't set immutable config")
    );
    assert_eq!(
        error(&[(b"Slave-Priority", b"x")]),
        format!("{failed}'slave-priority') - argument couldn't be parsed into an integer")
    );
    assert_eq!(error(&[(b"requirepass", b"\xff")]), format!("{failed}'requirepass') - argument must be UTF-8 text"));
}

#[test]
fn one_class_of_output_limits_keeps_the_others() {
    let mut config = Config::default();
    let changed = set(&mut config, "client-output-buffer-limit", "replica 1 0 3 NORMAL 1mb 1kb 1");
    assert_eq!(changed, Ok(vec!["client-output-buffer-limit"]));
    let expected = "normal 1048576 1024 1 slave 1 0 3 pubsub 33554432 8388608 60";
    assert_eq!(get(&config, "client-output-buffer-limit"), expected);
    assert_eq!(config.client_output_buffer_limit.replica, OutputLimit { hard: 1, soft: 0, soft_seconds: 3 });
}

#[test]
fn event_classes_answer_for_sets_of_them() {
    let classes = assign("notify-keyspace-events", "KEA").unwrap().notify_keyspace_events;
    assert!(classes.contains(EventClasses::ALL) && classes.contains(EventClasses::STREAM));
    assert!(!classes.contains(EventClasses::KEY_MISS) && !classes.contains(EventClasses::NEW));
    assert!(!classes.is_empty() && EventClasses::default().is_empty());
}

#[test]
fn debug_hides_secrets() {
    let config = assign("requirepass", "swordfish").unwrap();
    let text = format!("{config:?}");
    assert!(!text.contains("swordfish") && text.contains(r#""requirepass": "(not shown)""#), "{text}");
    assert_eq!(get(&config, "requirepass"), "swordfish");
}

#[test]
fn the_reference_names_every_parameter() {
    let page = parameters_markdown();
    for name in PARAMETERS.iter().flat_map(Parameter::names).chain(foreign_names()) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let row = "| `maxmemory` | `0` | memory, at least 0 | live | Budget for hot records";
    assert!(page.contains(row), "{page}");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows.len(), PARAMETERS.len());
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    }
}

#[test]
fn the_sample_is_the_defaults() {
    let sample = sample_conf();
    assert!(sample.lines().all(|line| line.is_empty() || line.starts_with('#')));
    let commented =
        sample.lines().filter(|line| line.starts_with('#') && !line.starts_with("# ") && !line.starts_with("###"));
    let lines: Vec<&str> = commented.map(|line| &line[1..]).collect();
    let settings = Settings::of_text(std::path::Path::new("sample"), lines.join("\n").as_bytes()).unwrap();
    assert_eq!(settings.config, Config::default());
    let working = PARAMETERS.iter().filter(|parameter| parameter.effect == Effect::Full);
    assert!(
        working
            .map(|parameter| parameter.name)
            .eq(PARAMETERS.iter().map(|row| row.name).filter(|name| settings.origins.contains_key(name)))
    );
}
