//! Other people's clients: libraries of other languages, and Redis's own tools.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use resp::Value;

use crate::server::{Server, until};
use crate::wire::ok;

/// Runs a program to its end; answers how it ended and all that it printed.
fn run(command: &mut Command) -> (ExitStatus, String) {
    let mut printed: File = tempfile::tempfile().unwrap();
    let (out, err) = (printed.try_clone().unwrap(), printed.try_clone().unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
    let mut status = None;
    until(&format!("the end of {command:?}"), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    printed.rewind().unwrap();
    let mut text = String::new();
    printed.read_to_string(&mut text).unwrap();
    (status.unwrap(), text)
}

fn succeed(command: &mut Command) -> String {
    let (status, text) = run(command);
    assert!(status.success(), "{command:?} ended with {status}:\n{text}");
    text
}

/// Where a client library is; `None`: it is not there, and that has been said.
fn library(variable: &str) -> Option<OsString> {
    let found = std::env::var_os(variable);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set; `cargo xtask test` sets it");
        println!("left out: {variable} is not set; `cargo xtask test` sets it");
    }
    found
}

/// Whether one of Redis's tools is there; that it is not has been said.
fn has_tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("left out: {name} is not installed");
    }
    found
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new("tests/clients").join(name)
}

#[test]
fn redis_py() {
    let Some(python) = library("HAYPILE_TEST_PYTHON") else { return };
    let server = Server::start(&[]);
    let said = succeed(Command::new(python).arg(script("redis_py.py")).arg(server.port.to_string()));
    assert!(said.contains("RESP2: ok") && said.contains("RESP3: ok"), "{said}");
}

#[test]
fn ioredis() {
    let Some(modules) = library("HAYPILE_TEST_NODE_MODULES") else { return };
    let server = Server::start(&[]);
    let mut node = Command::new("node");
    let said = succeed(node.env("NODE_PATH", modules).arg(script("ioredis.cjs")).arg(server.port.to_string()));
    assert!(said.contains("ioredis: ok"), "{said}");
}

#[test]
fn redis_cli() {
    if !has_tool("redis-cli") {
        return;
    }
    let server = Server::start(&[]);
    let port = server.port.to_string();
    let cli = |args: &[&str]| succeed(Command::new("redis-cli").args(["-p", &port]).args(args));
    assert_eq!(cli(&["PING"]), "PONG\n");
    assert_eq!(cli(&["SET", "greeting", "hello world"]), "OK\n");
    assert_eq!(cli(&["GET", "greeting"]), "hello world\n");
    let mut client = server.connect();
    let set = |n| vec![b"SET".to_vec(), format!("key:{n}").into_bytes(), b"x".repeat(n)];
    client.each(1000, set, |_, got| assert_eq!(got, ok()));

    let scanned = cli(&["--scan", "--pattern", "key:*"]);
    let mut keys: Vec<&str> = scanned.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), scanned.lines().count()), (1000, 1000));
    let biggest = cli(&["--bigkeys"]);
    assert!(biggest.contains("Biggest string found") && biggest.contains("key:999"), "{biggest}");
    let hello = cli(&["-3", "HELLO"]);
    assert!(hello.contains("proto") && hello.contains("redis"), "{hello}");
    assert!(cli(&["NOSUCHCOMMAND"]).contains("unknown command"));
}

#[test]
fn redis_cli_pipes_commands_in() {
    if !has_tool("redis-cli") {
        return;
    }
    let server = Server::start(&[]);
    let mut bytes = Vec::new();
    (0..5000).for_each(|n| resp::encode_command(&[b"SET", format!("k{n}").as_bytes(), b"v"], &mut bytes));
    let file = server.path("commands");
    std::fs::write(&file, &bytes).unwrap();
    let line = format!("redis-cli -p {} --pipe < '{}'", server.port, file.display());
    let said = succeed(Command::new("sh").args(["-c", &line]));
    assert!(said.contains("errors: 0, replies: 5000"), "{said}");
    assert_eq!(server.connect().ask("DBSIZE"), Value::Integer(5000));
}

#[test]
fn redis_benchmark() {
    if !has_tool("redis-benchmark") {
        return;
    }
    let server = Server::start(&[]);
    let port = server.port.to_string();
    for extra in [&[][..], &["-r", "1000"], &["-c", "200", "--threads", "2"]] {
        let mut benchmark = Command::new("redis-benchmark");
        benchmark.args(["-p", &port, "-t", "ping,set,get,incr,mset", "-n", "2000", "-q", "-P", "16"]).args(extra);
        let said = succeed(&mut benchmark);
        assert!(said.contains("MSET") && !said.to_lowercase().contains("error"), "{said}");
    }
}
