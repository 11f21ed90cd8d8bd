//! Lets clients in, or tells them why not, and deals them out to the workers.

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};
use tokio::net::{TcpListener, UnixListener};

use crate::client::{Ends, Transport};
use crate::config::Config;
use crate::listen::{Address, Listener};
use crate::shared::Shared;
use crate::worker::{Arrival, Arrivals};

/// Pause after a failure to accept, as when file descriptors are used up: the client waits in the queue meanwhile.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";
const PROTECTED: &[u8] = b"-DENIED Haypile is running in protected mode: there is no password, and you come from \
another machine. Either set a password (requirepass), or allow everybody by setting protected-mode to 'no': in the \
configuration file, by the option '--protected-mode no', or by CONFIG SET from the server's own machine.\r\n";

/// The acceptor.
pub(crate) struct Acceptor {
    pub shared: Arc<Shared>,
    pub workers: Vec<Arrivals>,
    pub next: AtomicUsize,
}

impl Acceptor {
    /// Accepts from one listener, for ever.
    pub(crate) async fn accept_from(&self, listener: Listener) {
        let Listener { socket, at } = listener;
        let door = match Door::new(socket, &at) {
            Ok(door) => door,
            Err(error) => {
                tracing::error!("cannot accept clients on {at}: {error}");
                return;
            }
        };
        loop {
            match door.accept().await {
                Ok(client) => self.welcome(client, &at),
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot accept a client on {at}: {error}");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    fn welcome(&self, client: Socket, at: &Address) {
        let stats = &self.shared.stats;
        stats.connections.add(1);
        let config = self.shared.config.load();
        let ends = match ends(&client, at) {
            Ok(ends) => ends,
            // It is gone already.
            Err(_) => return,
        };
        if is_denied(&config, ends.transport) {
            stats.rejected_connections.add(1);
            tracing::warn!(peer = ends.peer, "refusing a client: protected mode");
            return refuse(client, PROTECTED);
        }
        let Some(place) = self.shared.clients.admit(config.maxclients as usize) else {
            stats.rejected_connections.add(1);
            return refuse(client, TOO_MANY);
        };
        if let Err(error) = prepare(&client, ends.transport, config.tcp_keepalive) {
            tracing::debug!(peer = ends.peer, "a client is gone already: {error}");
            return;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        // A worker that is gone takes nobody: the server ends.
        let _ = self.workers[turn].send(Arrival { socket: client, ends, place });
    }
}

/// A listener of the control thread's runtime.
enum Door {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Door {
    fn new(socket: Socket, at: &Address) -> io::Result<Self> {
        match at {
            Address::Tcp(_) => TcpListener::from_std(socket.into()).map(Self::Tcp),
            Address::Unix(_) => UnixListener::from_std(socket.into()).map(Self::Unix),
        }
    }

    /// The next client, free of this thread's runtime.
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => Ok(listener.accept().await?.0.into_std()?.into()),
            Self::Unix(listener) => Ok(listener.accept().await?.0.into_std()?.into()),
        }
    }
}

/// Whether accepting failed because of the one client that it would have accepted.
fn is_clients_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Whether protected mode keeps a client out.
fn is_denied(config: &Config, transport: Transport) -> bool {
    config.protected_mode && config.requirepass.is_empty() && transport == Transport::Remote
}

/// Says why, as far as the client's socket takes it at once, and closes.
fn refuse(client: Socket, why: &[u8]) {
    if client.set_nonblocking(true).is_ok() {
        let _ = client.send(why);
        // What the client sent already would make the kernel drop what we say.
        let mut seen = [MaybeUninit::uninit(); 1024];
        let _ = client.recv(&mut seen);
    }
}

fn prepare(client: &Socket, transport: Transport, keepalive: u32) -> io::Result<()> {
    client.set_nonblocking(true)?;
    if transport == Transport::Unix {
        return Ok(());
    }
    client.set_tcp_nodelay(true)?;
    if keepalive > 0 {
        let idle = Duration::from_secs(keepalive.into());
        let interval = Duration::from_secs((keepalive / 3).max(1).into());
        client.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(3))?;
    }
    Ok(())
}

fn ends(client: &Socket, at: &Address) -> io::Result<Ends> {
    let fd = client.as_raw_fd();
    match at {
        Address::Unix(path) => {
            let name = format!("{}:0", path.display());
            Ok(Ends { transport: Transport::Unix, peer: name.clone(), local: name, fd })
        }
        Address::Tcp(_) => {
            let unknown = || io::Error::from(io::ErrorKind::NotConnected);
            let peer = client.peer_addr()?.as_socket().ok_or_else(unknown)?;
            let local = client.local_addr()?.as_socket().ok_or_else(unknown)?;
            let transport = if is_loopback(peer.ip()) { Transport::Loopback } else { Transport::Remote };
            Ok(Ends { transport, peer: peer.to_string(), local: local.to_string(), fd })
        }
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_mode_keeps_out_who_comes_from_elsewhere_without_a_password() {
        let open = Config::default();
        assert!(is_denied(&open, Transport::Remote));
        assert!(!is_denied(&open, Transport::Loopback));
        assert!(!is_denied(&open, Transport::Unix));
        let password = Config { requirepass: "x".to_owned(), ..Config::default() };
        assert!(!is_denied(&password, Transport::Remote));
        let off = Config { protected_mode: false, ..Config::default() };
        assert!(!is_denied(&off, Transport::Remote));
    }

    #[test]
    fn mapped_loopback_is_loopback() {
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_loopback("::ffff:10.0.0.1".parse().unwrap()));
    }
}
