//! Many clients at a time.

use resp::Value;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scale;
use crate::server::Server;
use crate::wire::Client;

/// What an idle client may cost the server: its session, and the allocator's rounding.
const BYTES_PER_CLIENT: u64 = 4 << 10;

fn allow_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: Some(limit.maximum.map_or(count, |most| most.min(count))), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn idle_clients_cost_little() {
    let count = scale(2_000, 10_000);
    allow_files(count as u64 + 1000);
    let server = Server::start(&["--maxclients", "20000"]);
    let before = server.resident_bytes();
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), Value::Simple(b"PONG".to_vec()));
    }
    let each = server.resident_bytes().saturating_sub(before) / count as u64;
    assert!(each <= BYTES_PER_CLIENT, "an idle client costs {each} bytes");
    let last = clients.last_mut().unwrap();
    assert_eq!(last.ask("ECHO still-here"), Value::Bulk(b"still-here".to_vec()));
}
