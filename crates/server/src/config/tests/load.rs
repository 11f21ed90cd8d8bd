//! Tests of the start: files, includes, arguments, warnings, refusals.

use crate::config::{AppendFsync, Config, LogLevel, Origin, Settings};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of one test, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("haypile-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn of_text(text: &str) -> Result<Settings, String> {
    Settings::of_text(Path::new("x.conf"), text.as_bytes()).map_err(|error| error.to_string())
}

fn of_args(args: &[&str]) -> Result<Settings, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Settings::load(None, &args).map_err(|error| error.to_string())
}

fn save(settings: &Settings) -> Vec<(i64, i64)> {
    settings.config.save.iter().map(|point| (point.seconds, point.changes)).collect()
}

#[test]
fn a_file_sets_parameters() {
    let settings =
        of_text("# comment\n\n  PORT 7000\r\nbind 1.2.3.4 ::1\nslave-priority 5\nport 7001\nrequirepass \"a b\"")
            .unwrap();
    assert_eq!(settings.config.port, 7001);
    assert_eq!(settings.config.bind, ["1.2.3.4", "::1"]);
    assert_eq!(settings.config.replica_priority, 5);
    assert_eq!(settings.config.requirepass, "a b");
    assert_eq!(settings.origins["port"], Origin::Line("x.conf".into(), 6));
    assert!(!settings.origins.contains_key("timeout"));
}

#[test]
fn refusals_of_a_file_read_as_those_of_redis() {
    let directive = "Bad directive or wrong number of arguments";
    let cases = [
        ("port a", "argument couldn't be parsed into an integer"),
        ("port 1 2", "wrong number of arguments"),
        ("port 70000 # comment", "wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("foo bar", directive),
        ("include", directive),
        ("include a b", directive),
        ("name \"a", "Unbalanced quotes in configuration line"),
        ("save 900", "Invalid save parameters"),
        ("loadmodule /x.so", "Modules are not supported: remove this line"),
    ];
    for (line, reason) in cases {
        let expected = format!(
            "*** FATAL CONFIG FILE ERROR ***\nReading the configuration file, at line 3 of x.conf\n>>> '{line}'\n{reason}"
        );
        assert_eq!(of_text(&format!("\n# two\n{line}\n")).expect_err(line), expected);
    }
    assert!(of_text("user alice on nopass ~* +@all").expect_err("refused").contains("all rights"));
}

#[test]
fn refusals_do_not_show_secrets() {
    for text in ["requirepass \"swordfish", "requirepass swordfish 2", "masterauth a swordfish"] {
        let error = of_text(text).expect_err(text);
        assert!(!error.contains("swordfish") && error.contains("(not shown)"), "{error}");
    }
    assert!(!of_args(&["--requirepass", "swordfish", "x"]).expect_err("two").contains("swordfish"));
}

#[test]
fn files_include_files() {
    let folder = Folder::new();
    let inner = folder.file("inner.conf", "port 2\ntimeout 3\n");
    let outer = folder.file("outer.conf", &format!("port 1\ninclude '{}'\ntimeout 4\n", inner.display()));
    let settings = Settings::load(Some(&outer), &[]).unwrap();
    assert_eq!((settings.config.port, settings.config.timeout), (2, 4));
    assert_eq!(settings.origins["port"], Origin::Line(inner.clone(), 1));
    assert_eq!(settings.file, Some(outer));

    folder.file("inner.conf", "port x\n");
    let error = Settings::load(Some(&folder.0.join("outer.conf")), &[]).unwrap_err().to_string();
    assert!(error.contains(&format!("at line 1 of {}\n>>> 'port x'", inner.display())), "{error}");
}

#[test]
fn includes_are_bounded_and_must_exist() {
    let folder = Folder::new();
    let path = folder.0.join("self.conf");
    folder.file("self.conf", &format!("include {}\n", path.display()));
    let error = Settings::load(Some(&path), &[]).unwrap_err().to_string();
    assert!(error.ends_with("Files include each other more than 16 deep"), "{error}");

    let lost = folder.file("lost.conf", "include /no/such/file\n");
    let error = Settings::load(Some(&lost), &[]).unwrap_err().to_string();
    assert!(error.contains("Can't open config file '/no/such/file': No such file"), "{error}");
}

#[test]
fn arguments_win_over_the_file() {
    let folder = Folder::new();
    let file = folder.file("x.conf", "port 1\ntimeout 2\n");
    let args = ["--port", "7000", "--bind", "127.0.0.1", "::1", "--save", ""].map(str::to_owned);
    let settings = Settings::load(Some(&file), &args).unwrap();
    assert_eq!((settings.config.port, settings.config.timeout), (7000, 2));
    assert_eq!(settings.config.bind, ["127.0.0.1", "::1"]);
    assert_eq!(settings.origins["port"], Origin::Arguments);
}

#[test]
fn arguments_are_split_as_redis_splits_them() {
    let config = |args: &[&str]| of_args(args).unwrap().config;
    assert_eq!(config(&["--port 7000", "--loglevel", "DEBUG"]).loglevel, LogLevel::Debug);
    assert_eq!(config(&["--bind", "1.1.1.1 2.2.2.2"]).bind, ["1.1.1.1", "2.2.2.2"]);
    assert_eq!(config(&["--requirepass", "--x", "--port", "1"]).requirepass, "--x");
    assert_eq!(config(&["--requirepass", "a \"b"]).requirepass, "a \"b");
    assert_eq!(config(&["--slowlog-log-slower-than", "-1"]).slowlog_log_slower_than, -1);
    for args in [&["--save", "60", "1", "--port", "1"][..], &["--save", "60 1", "--port", "1"]] {
        assert_eq!((save(&of_args(args).unwrap()), config(args).port), (vec![(60, 1)], 1));
    }
    for args in [&["--save", "--port", "1"][..], &["--port", "1", "--save"], &["--save", "", "--port", "1"]] {
        let settings = of_args(args).unwrap();
        assert_eq!((save(&settings), settings.config.port), (vec![], 1));
        assert!(settings.origins.contains_key("save"));
    }
}

#[test]
fn refusals_of_arguments_show_them() {
    let error = |args: &[&str]| of_args(args).expect_err("refused");
    let start = "*** FATAL CONFIG FILE ERROR ***\nReading the command line\n>>> ";
    assert_eq!(
        error(&["--port", "a b"]),
        format!("{start}'--port \"a b\"'\nargument couldn't be parsed into an integer")
    );
    assert_eq!(error(&["--foo"]), format!("{start}'--foo'\nBad directive or wrong number of arguments"));
    assert_eq!(error(&["--port"]), format!("{start}'--port'\nwrong number of arguments"));
    assert_eq!(error(&["x"]), format!("{start}'x'\nA parameter begins with --"));
    assert_eq!(error(&["--", "x"]), format!("{start}'--'\nA parameter begins with -- and its name"));
}

#[test]
fn save_points_add_up() {
    assert_eq!(save(&of_text("save 900 1\nsave 300 10 60 10000").unwrap()), [(900, 1), (300, 10), (60, 10_000)]);
    assert_eq!(save(&of_text("save 900 1\nsave \"\"\nsave '60 1'").unwrap()), [(60, 1)]);
    assert_eq!(save(&of_text("save 900 1\nsave \"\"").unwrap()), []);
}

#[test]
fn what_has_no_effect_is_said_once() {
    let settings =
        of_text("appendonly no\nappendonly no\nio-threads 4\nhz 10\nport 7000\ncluster-enabled yes").unwrap();
    assert_eq!(settings.warnings.len(), 1, "of_text warns of ignored lines only: {:?}", settings.warnings);

    let folder = Folder::new();
    let file =
        folder.file("x.conf", "appendonly no\nappendonly no\nmasterauth swordfish\nhz 10\nport 7000\ntls-port 0\n");
    let warnings = Settings::load(Some(&file), &["--daemonize".to_owned(), "yes".to_owned()]).unwrap().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let line = format!("line 6 of {}", file.display());
    assert_eq!(warnings[0], format!("'tls-port' ({line}) is ignored: it is Redis's, and has no meaning here"));
    assert!(
        warnings[1].starts_with("'appendonly' (line 2 of ") && warnings[1].contains("The log is always on"),
        "{warnings:?}"
    );
    assert!(warnings[2].starts_with("'daemonize' (command line) is accepted, but has no effect. ("), "{warnings:?}");
    assert!(!warnings.concat().contains("swordfish"));
}

#[test]
fn what_would_leave_the_server_open_is_refused() {
    for (line, word) in [
        ("rename-command FLUSHALL \"\"", "renamed or disabled"),
        ("Rename-Command CONFIG secret", "renamed or disabled"),
        ("tls-port 6380", "TLS"),
        ("tls-replication yes", "TLS"),
        ("user alice on >secret ~* +@all", "everybody would have all rights"),
        ("aclfile /etc/redis/users.acl", "everybody would have all rights"),
        ("loadmodule /usr/lib/x.so", "Modules"),
    ] {
        let refused = of_text(line).unwrap_err().to_string();
        assert!(refused.contains("at line 1 of") && refused.contains(word), "{refused}");
    }
    for line in ["tls-port 0", "tls-replication NO"] {
        assert_eq!(of_text(line).unwrap().warnings.len(), 1, "{line}");
    }
}

/// Such settings as the redis.conf of a distribution makes.
const STOCK: &str = "\
# Redis configuration file example.
bind 127.0.0.1 -::1
protected-mode yes
port 6379
tcp-backlog 511
timeout 0
tcp-keepalive 300
daemonize yes
pidfile /run/redis/redis-server.pid
loglevel notice
logfile /var/log/redis/redis-server.log
databases 16
always-show-logo no
set-proc-title yes
proc-title-template \"{title} {listen-addr} {server-mode}\"
stop-writes-on-bgsave-error yes
rdbcompression yes
dbfilename dump.rdb
dir /var/lib/redis
replica-serve-stale-data yes
repl-diskless-sync yes
# tls-port 6379
acllog-max-len 128
lazyfree-lazy-user-del no
oom-score-adj-values 0 200 800
disable-thp yes
appendonly no
appendfilename \"appendonly.aof\"
appendfsync everysec
auto-aof-rewrite-min-size 64mb
slowlog-max-len 128
notify-keyspace-events \"\"
hash-max-listpack-entries 512
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit replica 256mb 64mb 60
client-output-buffer-limit pubsub 32mb 8mb 60
hz 10
dynamic-hz yes
rdb-save-incremental-fsync yes
jemalloc-bg-thread yes
";

#[test]
fn a_stock_redis_conf_starts_with_warnings() {
    let folder = Folder::new();
    let file = folder.file("redis.conf", STOCK);
    let settings = Settings::load(Some(&file), &[]).unwrap();
    let names: Vec<_> = settings.warnings.iter().map(|warning| warning.split('\'').nth(1).unwrap()).collect();
    assert_eq!(names, ["acllog-max-len", "jemalloc-bg-thread", "appendonly", "daemonize", "pidfile"]);
    let default = Config::default();
    assert_eq!(settings.config.dir, "/var/lib/redis");
    assert_eq!(settings.config.appendfsync, AppendFsync::Everysec);
    assert_eq!(settings.config.hash_max_listpack_entries, 512);
    assert_eq!(settings.config.client_output_buffer_limit, default.client_output_buffer_limit);
}
