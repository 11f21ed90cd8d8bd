//! Starts that are refused, and what the binary prints.

use std::process::Output;

use crate::server::{Server, free_port, haypile};

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = haypile(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn it_tells_its_version_and_how_it_is_used() {
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.as_str()), (Some(0), concat!("haypile ", env!("CARGO_PKG_VERSION"), "\n")));
    let (code, out, _) = run(&["--help"]);
    assert!(code == Some(0) && out.contains("check-config"), "{out}");
}

#[test]
fn documents_are_printed() {
    for (name, part) in [("commands", "GET"), ("parameters", "maxmemory"), ("config", "#port 6379")] {
        let (code, out, err) = run(&["docs", name]);
        assert!(code == Some(0) && out.contains(part), "{name}: {err}");
    }
    assert_eq!(run(&["docs", "nonsense"]).0, Some(1));
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("h.conf");
    std::fs::write(&file, "port 7000\nappendfsync sometimes\n").unwrap();
    let (code, _, err) = run(&["check-config", file.to_str().unwrap()]);
    assert!(code == Some(1) && err.contains("line 2") && err.contains("appendfsync sometimes"), "{err}");
    std::fs::write(&file, "port 7000\n").unwrap();
    assert_eq!(run(&["check-config", file.to_str().unwrap()]).0, Some(0));
    let (code, _, err) = run(&["--nonsense", "1"]);
    assert!(code == Some(1) && err.contains("nonsense"), "{err}");
}

#[test]
fn a_server_that_nobody_could_reach_is_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    let dir = folder.path().join("data");
    for mode in ["serve", "check-config"] {
        let (code, _, err) = run(&[mode, "--port", "0", "--dir", dir.to_str().unwrap()]);
        assert_eq!(code, Some(1), "{mode}: {err}");
        assert!(err.starts_with("Configured to not listen anywhere") && err.trim_end().lines().count() == 1, "{err}");
    }
    assert!(!dir.exists(), "nothing was made");
    assert_eq!(run(&["check-config", "--port", "0", "--unixsocket", "s"]).0, Some(0));
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::TempDir::new().unwrap();
    let dir = folder.path().join("data");
    let (code, _, err) = run(&["--bind", "127.0.0.1", "--port", &port, "--dir", dir.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("127.0.0.1:{port}")) && err.trim_end().lines().count() == 1, "{err}");
}

#[test]
fn a_data_folder_has_one_server() {
    let server = Server::start(&[]);
    let (dir, port) = (server.path("data"), free_port().to_string());
    let (code, _, err) = run(&["--port", &port, "--dir", dir.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("Another process uses the data folder") && err.trim_end().lines().count() == 1, "{err}");
}

#[test]
fn the_log_can_be_json_in_a_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("log");
    let server = Server::start(&["--log-format", "json", "--logfile", file.to_str().unwrap()]);
    let log = std::fs::read_to_string(&file).unwrap();
    assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
    assert!(log.contains("listening on 127.0.0.1") && server.log().is_empty());
}

#[test]
fn a_start_that_fails_where_nobody_can_hear_it_ends_as_others_do() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let args = ["serve", "--dir", "/dev/null/data", "--port", &free_port().to_string()];
    let status = haypile(&args).stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1), "{status}");
}
