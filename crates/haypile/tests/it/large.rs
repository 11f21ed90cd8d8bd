//! Large values, and streams of garbage.

use resp::Value;

use crate::scale;
use crate::server::Server;
use crate::wire::{bulk, ok};

/// Bytes that look alike nowhere, the same for a seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn a_large_value_comes_back_whole() {
    let value = noise(7, scale(64 << 20, 512 << 20));
    let server = Server::start(&["--maxmemory", "2gb"]);
    let mut client = server.connect();
    assert_eq!(client.call(&[b"SET", b"big", &value]), ok());
    assert_eq!(client.ask("STRLEN big"), Value::Integer(value.len() as i64));
    client.send(&[b"GET", b"big"]);
    assert!(client.read() == bulk(&value), "the value is another one");
    let server = server.crash_and_restart();
    let mut client = server.connect();
    client.send(&[b"GET", b"big"]);
    assert!(client.read() == bulk(&value), "the value is another one after a crash");
}

#[test]
fn garbage_does_not_hurt() {
    let bytes = scale(64 << 20, 1 << 30);
    let server = Server::start(&[]);
    assert_eq!(server.connect().ask("SET k v"), ok());
    let chunk = noise(99, 1 << 20);
    let mut sent = 0;
    while sent < bytes {
        let mut client = server.connect();
        // It closes as soon as it sees what this is.
        while sent < bytes && client.try_send_raw(&chunk).is_ok() {
            sent += chunk.len();
        }
        sent += chunk.len();
    }
    assert_eq!(server.connect().ask("GET k"), bulk("v"));
}
