//! Commands that must wait for the disk, among others that need not.

use resp::Value;

use crate::server::Server;
use crate::wire::{bulk, ok};

const KEYS: usize = 3000;

/// A server whose keys are on disk only.
fn cold() -> Server {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for n in 0..KEYS {
        resp::encode_command(&[b"SET", format!("k{n}").as_bytes(), format!("value {n}").as_bytes()], &mut bytes);
    }
    client.send_raw(&bytes);
    (0..KEYS).for_each(|_| assert_eq!(client.read(), ok()));
    server.restart()
}

#[test]
fn a_cold_read_in_a_pipeline_keeps_the_order() {
    let server = cold();
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for n in 0..KEYS {
        // Spread over the key space, so that blocks are read again and again.
        let key = format!("k{}", n * 7 % KEYS);
        resp::encode_command(&[b"GET", key.as_bytes()], &mut bytes);
        resp::encode_command(&[b"ECHO", key.as_bytes()], &mut bytes);
        resp::encode_command(&[b"APPEND", key.as_bytes(), b"!"], &mut bytes);
    }
    client.send_raw(&bytes);
    for n in 0..KEYS {
        let n = n * 7 % KEYS;
        let value = format!("value {n}");
        assert_eq!(client.read(), bulk(&value));
        assert_eq!(client.read(), bulk(format!("k{n}")));
        assert_eq!(client.read(), Value::Integer(value.len() as i64 + 1));
    }
}

#[test]
fn a_cold_read_before_half_a_request_keeps_that_half() {
    let server = cold();
    let mut client = server.connect();
    for n in 0..KEYS / 2 {
        let (cold, next) = (n * 7 % KEYS, (n + KEYS / 2) * 7 % KEYS);
        let mut bytes = Vec::new();
        resp::encode_command(&[b"APPEND", format!("k{cold}").as_bytes(), b"!"], &mut bytes);
        let half = bytes.len() + 1 + n % 30;
        resp::encode_command(&[b"GETRANGE", format!("k{next}").as_bytes(), b"0", b"4"], &mut bytes);
        client.send_raw(&bytes[..half]);
        assert_eq!(client.read(), Value::Integer(format!("value {cold}!").len() as i64));
        client.send_raw(&bytes[half..]);
        assert_eq!(client.read(), bulk("value"));
    }
}

#[test]
fn clients_that_wait_for_the_disk_each_get_their_own_answers() {
    let server = cold();
    let clients = (0..16).map(|client: usize| {
        let mut connection = server.connect();
        std::thread::spawn(move || {
            for n in 0..KEYS / 4 {
                let n = (n * 31 + client * 97) % KEYS;
                assert_eq!(connection.ask(&format!("GET k{n}")), bulk(format!("value {n}")));
            }
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_client_that_goes_while_it_waits_does_not_stop_its_commands() {
    let server = cold();
    for n in 0..200 {
        let mut client = server.connect();
        client.send(&[b"APPEND", format!("k{n}").as_bytes(), b"!"]);
        client.finish();
        assert_eq!(client.read_to_end(), format!(":{}\r\n", format!("value {n}!").len()).as_bytes());
    }
    assert_eq!(server.connect().ask("GET k199"), bulk("value 199!"));
}

#[test]
fn the_whole_key_space_is_counted_and_emptied_at_the_desk() {
    let server = cold();
    let mut client = server.connect();
    client.send_raw(b"DBSIZE\r\nPING\r\nFLUSHALL\r\nDBSIZE\r\nGET k1\r\nSET k1 again\r\nDBSIZE\r\n");
    assert_eq!(client.read(), Value::Integer(KEYS as i64));
    assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), Value::Integer(0));
    assert_eq!(client.read(), Value::NullBulk);
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), Value::Integer(1));
    assert_eq!(server.restart().connect().ask("DBSIZE"), Value::Integer(1));
}
