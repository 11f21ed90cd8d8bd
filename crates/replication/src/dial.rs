//! Connecting to another node: names are resolved, addresses are tried in turn, within one deadline for all of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The kernel asks a silent peer after so long whether it is there, that often, before it gives the connection up.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);

/// Why nobody was reached.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    Unresolved(String),
    /// Nothing listens there.
    Refused(SocketAddr),
    /// It took too long.
    Timeout,
    /// The connection ended at this socket itself: a port of this machine that nobody listens on.
    OwnSocket(SocketAddr),
    /// Anything else.
    Io(SocketAddr, io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(reason) => write!(f, "the name cannot be resolved: {reason}"),
            Self::Refused(address) => write!(f, "nothing listens on {address}"),
            Self::Timeout => f.write_str("connecting took too long"),
            Self::OwnSocket(address) => write!(f, "nothing listens on {address}; the connection met itself"),
            Self::Io(address, error) => write!(f, "{address}: {error}"),
        }
    }
}

impl std::error::Error for DialError {}

/// Connects to `host`, a name or an address, within `patience`.
///
/// # Errors
/// When nobody is reached; with several addresses, that of the last.
pub async fn dial(host: &str, port: u16, patience: Duration) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + patience;
    let resolved = tokio::time::timeout_at(deadline.into(), resolve(host, port)).await;
    let addresses = resolved.map_err(|_| DialError::Timeout)??;
    let mut last = DialError::Timeout;
    for (at, &address) in addresses.iter().enumerate() {
        // A dead address leaves time for those after it.
        let share = deadline.saturating_duration_since(Instant::now()) / (addresses.len() - at) as u32;
        match tokio::time::timeout(share, connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = DialError::Timeout,
        }
    }
    Err(last)
}

/// The addresses of `host`. The system's resolver blocks, so it runs on a thread of its own.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = tokio::net::lookup_host((bare, port)).await;
    let found = found.map_err(|error| DialError::Unresolved(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(DialError::Unresolved("it has no address".to_owned())) } else { Ok(addresses) }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, DialError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused(address),
        _ => DialError::Io(address, error),
    };
    let stream = TcpStream::connect(address).await.map_err(refused)?;
    // While a port of this machine is not listened on, the kernel may choose it for our end of the connection, too:
    // then we would talk to ourselves, and keep the port from whom we wait for.
    if met_itself(&stream) {
        return Err(DialError::OwnSocket(address));
    }
    let (idle, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
    let tuned = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
    tuned.map_err(|error| DialError::Io(address, error))?;
    Ok(stream)
}

fn met_itself(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn names_and_addresses_of_both_families_are_dialed() {
        run(async {
            let four = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = four.local_addr().unwrap().port();
            for host in ["127.0.0.1", "localhost"] {
                let stream = dial(host, port, PATIENCE).await.unwrap();
                assert_eq!(stream.peer_addr().unwrap().port(), port);
                assert!(stream.nodelay().unwrap());
                assert!(SockRef::from(&stream).keepalive().unwrap());
            }
            let Ok(six) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
            let port = six.local_addr().unwrap().port();
            for host in ["::1", "[::1]"] {
                dial(host, port, PATIENCE).await.unwrap();
            }
        });
    }

    #[test]
    fn who_is_not_there_is_told_apart() {
        run(async {
            let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let refused = dial("127.0.0.1", free, PATIENCE).await.unwrap_err();
            assert!(matches!(refused, DialError::Refused(_) | DialError::OwnSocket(_)), "{refused}");
            let unresolved = dial("no such host", 1, PATIENCE).await.unwrap_err();
            assert!(matches!(unresolved, DialError::Unresolved(_)), "{unresolved}");
        });
    }

    #[test]
    fn a_socket_that_met_itself_is_noticed() {
        run(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let own = socket.local_addr().unwrap();
            let stream = socket.connect(own).await.unwrap();
            assert!(met_itself(&stream));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert!(!met_itself(&stream));
        });
    }
}
