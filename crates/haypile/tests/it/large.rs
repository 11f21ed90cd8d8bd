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
fn a_large_element_goes_from_list_to_list() {
    let element = noise(23, scale(48 << 20, 500 << 20));
    let server = Server::start(&["--maxmemory", "2gb"]);
    let mut client = server.connect();
    assert_eq!(client.call(&[b"RPUSH", b"list", b"first", &element, b"last"]), Value::Integer(3));
    assert!(client.ask("LINDEX list 1") == bulk(&element), "the element is another one");
    let server = server.crash_and_restart();
    let mut client = server.connect();
    assert_eq!(client.ask("LPOP list"), bulk("first"));
    assert!(client.ask("LMOVE list other LEFT RIGHT") == bulk(&element), "the element is another one after a crash");
    assert_eq!(client.ask("LRANGE list 0 -1"), Value::Array(vec![bulk("last")]));
    let server = server.restart();
    let mut client = server.connect();
    assert!(client.ask("RPOP other") == bulk(&element), "the element is another one after a restart");
    assert_eq!(client.ask("EXISTS other"), Value::Integer(0));
}

#[test]
fn a_large_value_is_edited_in_its_middle() {
    let mut value = noise(11, 64 << 20);
    let server = Server::start(&["--maxmemory", "1gb"]);
    let mut client = server.connect();
    assert_eq!(client.call(&[b"SET", b"big", &value]), ok());
    let middle = 33_333_333;
    let (from, to) = (middle.to_string(), (middle + 99_999).to_string());
    let range: [&[u8]; 4] = [b"GETRANGE", b"big", from.as_bytes(), to.as_bytes()];
    assert!(client.call(&range) == bulk(&value[middle..middle + 100_000]), "the range is another one");
    let patch = noise(13, 100_000);
    let len = Value::Integer(value.len() as i64);
    assert_eq!(client.call(&[b"SETRANGE", b"big", from.as_bytes(), &patch]), len);
    value[middle..middle + patch.len()].copy_from_slice(&patch);
    assert!(client.call(&range) == bulk(&patch), "the patched range is another one");
    let end = noise(17, 70_000);
    value.extend_from_slice(&end);
    assert_eq!(client.call(&[b"APPEND", b"big", &end]), Value::Integer(value.len() as i64));
    assert!(client.ask("GET big") == bulk(&value), "the value is another one");
    let server = server.crash_and_restart();
    let mut client = server.connect();
    assert!(client.ask("GET big") == bulk(&value), "the value is another one after a crash");
    assert_eq!(client.call(&[b"SETRANGE", b"big", b"1", b"!"]), Value::Integer(value.len() as i64));
    value[1] = b'!';
    let server = server.restart();
    assert!(server.connect().ask("GET big") == bulk(&value), "the value is another one after an edit of what was cold");
}

#[test]
fn the_last_bit_of_a_sparse_value_is_set_in_little_memory() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SETBIT sparse 4294967295 1"), Value::Integer(0));
    assert_eq!(client.ask("STRLEN sparse"), Value::Integer(512 << 20));
    // The value is not made in one piece: the server may have 128 MiB.
    assert!(server.resident_bytes() < 256 << 20, "{} bytes are resident", server.resident_bytes());
    let server = server.crash_and_restart();
    let server = server.restart();
    let mut client = server.connect();
    assert_eq!(client.ask("STRLEN sparse"), Value::Integer(512 << 20));
    assert_eq!(client.ask("GETBIT sparse 4294967295"), Value::Integer(1));
    assert_eq!(client.ask("GETBIT sparse 4294967294"), Value::Integer(0));
    assert_eq!(client.ask("GETBIT sparse 2147483648"), Value::Integer(0));
    assert_eq!(client.ask("SETBIT sparse 2147483648 1"), Value::Integer(0));
    assert_eq!(client.ask("GETBIT sparse 2147483648"), Value::Integer(1));
    assert_eq!(client.ask("GETRANGE sparse 268435455 268435457"), bulk(b"\0\x80\0"));
    assert!(server.resident_bytes() < 256 << 20, "{} bytes are resident", server.resident_bytes());
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
