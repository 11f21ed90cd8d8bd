//! What every client does.

use resp::Value;

use crate::server::{Server, until};
use crate::wire::{Client, bulk, error, ok};

#[test]
fn commands_are_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("PING"), Value::Simple(b"PONG".to_vec()));
    assert_eq!(client.ask("SET k v"), ok());
    assert_eq!(client.ask("GET k"), bulk("v"));
    assert_eq!(client.ask("GET none"), Value::NullBulk);
    assert!(error(&client.ask("NONSENSE a")).starts_with("ERR unknown command 'NONSENSE'"));
    assert_eq!(error(&client.ask("GET")), "ERR wrong number of arguments for 'get' command");
    assert_eq!(client.ask("APPEND k w"), Value::Integer(2));
}

#[test]
fn databases_are_apart() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert_eq!(client.ask("SET k zero"), ok());
    assert_eq!(client.ask("SELECT 9"), ok());
    assert_eq!(client.ask("GET k"), Value::NullBulk);
    assert_eq!(client.ask("SET k nine"), ok());
    assert_eq!(server.connect().ask("GET k"), bulk("zero"));
    assert_eq!(client.ask("GET k"), bulk("nine"));
    assert_eq!(error(&client.ask("SELECT 16")), "ERR DB index is out of range");
}

#[test]
fn a_pipeline_is_answered_in_order() {
    const COMMANDS: usize = 20_000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut bytes = Vec::new();
    for n in 0..COMMANDS {
        resp::encode_command(&[b"SET", format!("k{}", n % 100).as_bytes(), n.to_string().as_bytes()], &mut bytes);
        resp::encode_command(&[b"GET", format!("k{}", n % 100).as_bytes()], &mut bytes);
    }
    let sender = std::thread::spawn({
        let mut sending = server.connect();
        move || sending.send_raw(b"PING\r\n")
    });
    client.send_raw(&bytes);
    for n in 0..COMMANDS {
        assert_eq!(client.read(), ok());
        assert_eq!(client.read(), bulk(n.to_string()));
    }
    sender.join().unwrap();
}

#[test]
fn inline_commands_and_blank_lines() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_raw(b"\r\n\r\nSET  'a key' \"a\\x20value\"\r\nGET \"a key\"\r\n*0\r\nPING\n");
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), bulk("a value"));
    assert_eq!(client.read(), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn what_stands_before_a_broken_request_is_run() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_raw(b"SET k v\r\nAPPEND k w\r\n*1\r\n:4\r\nSET k never\r\n");
    assert_eq!(client.read(), ok());
    assert_eq!(client.read(), Value::Integer(2));
    assert_eq!(error(&client.read()), "ERR Protocol error: expected '$', got ':'");
    assert_eq!(client.try_read(), None);
    assert_eq!(server.connect().ask("GET k"), bulk("vw"));
}

#[test]
fn a_broken_protocol_is_answered_and_closed() {
    let server = Server::start(&[]);
    let cases: [(&[u8], &str); 4] = [
        (b"*1\r\n:4\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$-9\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"SET 'a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ];
    for (sent, said) in cases {
        let mut client = server.connect();
        client.send_raw(b"PING\r\n");
        client.send_raw(sent);
        let got = client.read_to_end();
        assert_eq!(String::from_utf8(got).unwrap(), format!("+PONG\r\n{said}"));
    }
    assert_eq!(server.connect().ask("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn quit_answers_what_came_before_and_closes() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_raw(b"SET k v\r\nGET k\r\nQUIT\r\nSET k never\r\n");
    assert_eq!(client.read_to_end(), b"+OK\r\n$1\r\nv\r\n+OK\r\n");
    assert_eq!(server.connect().ask("GET k"), bulk("v"));
}

#[test]
fn a_client_that_sends_its_last_command_and_closes_its_end_is_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send_raw(b"SET k v\r\nGET k\r\n");
    client.finish();
    assert_eq!(client.read_to_end(), b"+OK\r\n$1\r\nv\r\n");
}

#[test]
fn the_unix_socket_serves() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("haypile.sock");
    let server = Server::start(&["--unixsocket", path.to_str().unwrap(), "--unixsocketperm", "700"]);
    let mut client = Client::unix(&path);
    assert_eq!(client.ask("SET k v"), ok());
    assert_eq!(server.connect().ask("GET k"), bulk("v"));
    // A crash leaves the socket behind; the next start replaces it.
    let server = server.crash_and_restart();
    assert_eq!(Client::unix(&path).ask("GET k"), bulk("v"));
    drop(server);
}

#[test]
fn a_reply_with_appendfsync_always_is_of_what_survives() {
    let server = Server::start(&["--appendfsync", "always"]);
    let mut client = server.connect();
    let mut bytes = Vec::new();
    (0..500).for_each(|n| resp::encode_command(&[b"INCR", format!("k{}", n % 7).as_bytes()], &mut bytes));
    client.send_raw(&bytes);
    for n in 0..500 {
        assert_eq!(client.read(), Value::Integer(n / 7 + 1));
    }
    let server = server.crash_and_restart();
    assert_eq!(server.connect().ask("GET k0"), bulk("72"));
}

#[test]
fn another_client_of_many_goes_on_in_resp3() {
    let server = Server::start(&[]);
    let url = format!("redis://127.0.0.1:{}/?protocol=resp3", server.port);
    let Ok(mut connection) = redis::Client::open(url).unwrap().get_connection() else {
        panic!("the redis crate cannot connect");
    };
    let () = redis::cmd("SET").arg("k").arg(5).query(&mut connection).unwrap();
    let sum: i64 = redis::cmd("INCRBY").arg("k").arg(2).query(&mut connection).unwrap();
    assert_eq!(sum, 7);
}

#[test]
fn hashes_whose_fields_expire_go_unasked() {
    /// Enough that every sweep of a share of the keys meets some.
    const HASHES: usize = 400;
    let server = Server::start(&["--hash-max-listpack-entries", "3"]);
    let mut client = server.connect();
    for n in 0..HASHES {
        // Every other one is too large to be packed.
        let pairs = if n % 2 == 0 { "a 1 b 2" } else { "a 1 b 2 c 3 d 4" };
        assert_eq!(client.ask(&format!("HSETEX k{n} PX 1 FIELDS {} {pairs}", 2 + n % 2 * 2)), Value::Integer(1));
    }
    assert_eq!(client.ask("HSET stays a 1 b 2"), Value::Integer(2));
    assert_eq!(client.ask("HPEXPIRE stays 3600000 FIELDS 1 a"), Value::Array(vec![Value::Integer(1)]));
    let all = HASHES as i64 + 1;
    let mut left = all;
    until("hashes to be gone", || {
        let Value::Integer(count) = client.ask("DBSIZE") else { panic!("a count") };
        left = count;
        left < all
    });
    assert_eq!(client.ask("HLEN stays"), Value::Integer(2));
    let server = server.crash_and_restart();
    let Value::Integer(count) = server.connect().ask("DBSIZE") else { panic!("a count") };
    assert!((1..=left).contains(&count), "what is gone stays gone: {count} of {left}");
}

/// Requests of many clients that come at once are read before the first of them runs.
#[test]
fn many_clients_at_once_each_get_the_reply_to_what_they_asked() {
    let server = Server::start(&[]);
    let mut control = server.connect();
    let value = vec![b'v'; 64 << 10];
    for number in 0..64 {
        control.send(&[b"SET", format!("large:{number}").as_bytes(), &value]);
        assert_eq!(control.read(), ok());
    }
    let mut clients: Vec<_> = (0..32).map(|_| server.connect()).collect();
    let held = |control: &mut Client| -> u64 {
        let Value::Bulk(info) = control.ask("INFO stats") else { panic!("no text") };
        let text = String::from_utf8(info).unwrap();
        text.lines().find_map(|line| line.strip_prefix("haypile_held_requests:")).unwrap().parse().unwrap()
    };
    let mut round = 0_u64;
    until("requests to be held", || {
        round += 1;
        for (at, client) in clients.iter_mut().enumerate() {
            let (key, value) = (format!("k:{at}"), format!("{round}:{at}"));
            match (at as u64 + round) % 4 {
                0 => client.send(&[b"SET", key.as_bytes(), value.as_bytes()]),
                // The rest of it comes when the others have asked.
                1 => client.send_raw(b"*3\r\n$3\r\nSET\r\n$"),
                2 => client.send_raw(format!("*2\r\n$4\r\nINCR\r\n$3\r\nsum\r\nSET {key} {value}\r\n").as_bytes()),
                _ => client.send(&[b"INCR", b"sum"]),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            let (key, value) = (format!("k:{at}"), format!("{round}:{at}"));
            match (at as u64 + round) % 4 {
                0 => assert_eq!(client.read(), ok()),
                1 => {
                    client.send_raw(format!("{}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len()).as_bytes());
                    assert_eq!(client.read(), ok());
                }
                2 => {
                    assert!(matches!(client.read(), Value::Integer(_)));
                    assert_eq!(client.read(), ok());
                }
                _ => assert!(matches!(client.read(), Value::Integer(_))),
            }
        }
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(&[b"GET", format!("k:{at}").as_bytes()]);
        }
        for (at, client) in clients.iter_mut().enumerate() {
            // One in four of a round has only counted, and wrote a round before.
            let written = if (at as u64 + round) % 4 == 3 { round - 1 } else { round };
            let expected = if written == 0 { Value::NullBulk } else { bulk(format!("{written}:{at}")) };
            assert_eq!(client.read(), expected);
        }
        held(&mut control) > 100
    });
    assert_eq!(control.ask("GET sum"), bulk((round * 16).to_string()));
    // One that is killed while others ask takes none of them along.
    clients.iter_mut().for_each(|client| client.send(&[b"INCR", b"sum"]));
    let gone = clients.pop().unwrap();
    drop(gone);
    clients.iter_mut().for_each(|client| assert!(matches!(client.read(), Value::Integer(_))));
}
