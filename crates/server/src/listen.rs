//! The sockets that are listened on.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Config;

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    pub socket: Socket,
    /// Where.
    pub at: Address,
}

/// Where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Whether a client could connect at all.
///
/// # Errors
/// A sentence, if none could.
pub fn check(config: &Config) -> Result<(), String> {
    let has_tcp = config.port != 0 && config.bind.iter().any(|word| !word.is_empty());
    if has_tcp || !config.unixsocket.is_empty() {
        return Ok(());
    }
    Err("Configured to not listen anywhere: there is neither a port (with an address to bind) nor a unixsocket."
        .to_owned())
}

/// Opens all that the configuration names. An optional address that this machine does not have is left out.
///
/// # Errors
/// A sentence that names the address.
pub(crate) fn open(config: &Config) -> Result<Vec<Listener>, String> {
    check(config)?;
    let mut listeners = Vec::new();
    if config.port != 0 {
        for word in config.bind.iter().filter(|word| !word.is_empty()) {
            listeners.extend(open_word(word, config)?);
        }
        if listeners.is_empty() && config.bind.iter().any(|word| !word.is_empty()) {
            return Err(format!("None of the addresses {} can be listened on.", config.bind.join(" ")));
        }
    }
    if !config.unixsocket.is_empty() {
        let path = Path::new(&config.unixsocket);
        let wrong = |error| format!("Cannot listen on the unix socket {}: {error}.", path.display());
        listeners.push(open_unix(path, config).map_err(wrong)?);
    }
    Ok(listeners)
}

fn open_word(word: &str, config: &Config) -> Result<Option<Listener>, String> {
    let (name, optional) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
    let ip = match name {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        name => name.parse().map_err(|_| format!("The address to listen on, {name}, is no IP address."))?,
    };
    let address = SocketAddr::new(ip, config.port);
    match open_tcp(address, config.tcp_backlog) {
        Ok(socket) => Ok(Some(Listener { socket, at: Address::Tcp(address) })),
        Err(error) if optional && is_absent(&error) => {
            tracing::debug!("not listening on {address}: {error}");
            Ok(None)
        }
        Err(error) => Err(format!("Cannot listen on {address}: {error}.")),
    }
}

/// Whether the machine has no such address at all.
fn is_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::PROTOTYPE];
    kinds.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn open_tcp(address: SocketAddr, backlog: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    listen(socket, backlog)
}

fn listen(socket: Socket, backlog: u32) -> io::Result<Socket> {
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn open_unix(path: &Path, config: &Config) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if config.unixsocketperm != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(config.unixsocketperm))?;
    }
    let socket = listen(socket, config.tcp_backlog)?;
    Ok(Listener { socket, at: Address::Unix(path.to_path_buf()) })
}

/// Removes the socket that a process left which is gone. Anything else at that path stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of that name"));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bind: &[&str], port: u16) -> Config {
        Config { bind: bind.iter().map(|&word| word.to_owned()).collect(), port, ..Config::default() }
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn optional_addresses_may_be_absent() {
        let port = free_port();
        let listeners = open(&config(&["127.0.0.1", "-192.0.2.7"], port)).unwrap();
        assert_eq!(listeners.len(), 1);
        let refused = open(&config(&["192.0.2.7"], port)).unwrap_err();
        assert!(refused.contains("192.0.2.7"), "{refused}");
        assert!(open(&config(&["-192.0.2.7"], port)).is_err(), "a server that nobody can reach is a mistake");
        assert!(open(&config(&["nonsense"], port)).unwrap_err().contains("no IP address"));
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused = open(&config(&["127.0.0.1"], port)).unwrap_err();
        assert!(refused.contains(&port.to_string()), "{refused}");
    }

    #[test]
    fn a_server_that_listens_nowhere_is_refused() {
        for config in [config(&["127.0.0.1"], 0), config(&[""], 6379)] {
            let refused = open(&config).unwrap_err();
            assert!(refused.starts_with("Configured to not listen anywhere"), "{refused}");
            check(&Config { unixsocket: "s".to_owned(), ..config }).unwrap();
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let config = Config { unixsocket: path.to_str().unwrap().to_owned(), unixsocketperm: 0o700, ..config(&[], 0) };
        let first = open(&config).unwrap();
        assert!(open(&config).unwrap_err().contains("another process"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(first);
        open(&config).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(open(&config).unwrap_err().contains("file of that name"));
    }
}
