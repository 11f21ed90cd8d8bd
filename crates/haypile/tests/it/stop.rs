//! The end of the server.

use resp::Value;
use rustix::process::{Signal, kill_process};

use crate::server::Server;
use crate::wire::{bulk, ok};

#[test]
fn a_signal_ends_it_in_good_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut client = server.connect();
        assert_eq!(client.ask("SET k v"), ok());
        kill_process(server.pid(), signal).unwrap();
        assert_eq!(client.try_read(), None, "clients are disconnected");
        assert_eq!(server.wait().code(), Some(0));
        assert!(server.log().contains("ended"), "{}", server.log());
    }
}

#[test]
fn after_a_good_end_nothing_is_replayed() {
    let server = Server::start(&[]);
    assert_eq!(server.connect().ask("SET k v"), ok());
    let server = server.restart();
    assert_eq!(server.connect().ask("GET k"), bulk("v"));
    let recovered =
        server.log().lines().filter(|line| line.contains("recovered")).map(str::to_owned).collect::<Vec<_>>();
    let last = recovered.last().unwrap();
    assert!(last.contains("clean=true") && last.contains("frames=0"), "{last}");
}

#[test]
fn replies_of_what_was_begun_are_sent() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    client.send_raw(&b"INCR k\r\n".repeat(5000));
    // All of it has arrived once the first reply has come back: it fits one read or two.
    assert_eq!(client.read(), Value::Integer(1));
    kill_process(server.pid(), Signal::TERM).unwrap();
    let mut last = 1;
    while let Some(Value::Integer(number)) = client.try_read() {
        assert_eq!(number, last + 1);
        last = number;
    }
    assert_eq!(server.wait().code(), Some(0));
    let server = server.again();
    assert_eq!(server.connect().ask("GET k"), bulk(last.to_string()));
}

#[test]
fn the_shutdown_command_ends_it() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SET k v"), ok());
    client.send(&[b"SHUTDOWN"]);
    assert_eq!(client.try_read(), None);
    assert_eq!(server.wait().code(), Some(0));
    let server = server.again();
    assert_eq!(server.connect().ask("GET k"), bulk("v"));
}
