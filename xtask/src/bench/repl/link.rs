//! A link that can be cut: a TCP proxy between a replica and its primary.
//!
//! It listens at an address of its own (127.0.0.2), whose ports no outgoing connection takes, so that it gets its port back
//! after a cut.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::failure::{Context, Outcome};

const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

pub struct Link {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it leads.
    target: SocketAddr,
    /// `None` while it is cut.
    open: Option<Open>,
}

struct Open {
    sockets: Sockets,
    acceptor: JoinHandle<()>,
}

/// Both ends of each connection; `None` once they are closed.
#[derive(Clone)]
struct Sockets(Arc<Mutex<Option<Vec<TcpStream>>>>);

impl Link {
    /// One that leads to a port of this machine.
    pub fn to(port: u16) -> Outcome<Self> {
        let target = (Ipv4Addr::LOCALHOST, port).into();
        let listener = TcpListener::bind((HOST, 0)).context("listening for a link")?;
        let address = listener.local_addr().context("listening for a link")?;
        Ok(Self { address, target, open: Some(Open::on(listener, target)) })
    }

    /// Closes every connection at both sides, and refuses new ones from now on.
    pub fn cut(&mut self) {
        let Some(Open { sockets, acceptor }) = self.open.take() else { return };
        for socket in sockets.lock().take().into_iter().flatten() {
            // The other side may have closed it already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        // Has the acceptor look; if it cannot be reached, it has ended already.
        let _ = TcpStream::connect(self.address);
        let _ = acceptor.join();
    }

    /// Lets connections pass again.
    pub fn restore(&mut self) -> Outcome {
        if self.open.is_none() {
            let listener = TcpListener::bind(self.address).context("listening for the link again")?;
            self.open = Some(Open::on(listener, self.target));
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Open {
    fn on(listener: TcpListener, target: SocketAddr) -> Self {
        let sockets = Sockets(Arc::new(Mutex::new(Some(Vec::new()))));
        let own = sockets.clone();
        Self { sockets, acceptor: std::thread::spawn(move || accept(&listener, target, &own)) }
    }
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<TcpStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until the cut.
fn accept(listener: &TcpListener, target: SocketAddr, sockets: &Sockets) {
    std::thread::scope(|scope| {
        while let Ok((client, _)) = listener.accept() {
            // Held while the primary is dialed, which is a moment: so none is added behind the cut.
            let mut sockets = sockets.lock();
            let Some(open) = &mut *sockets else { return };
            let Ok(pair) = Pair::of(client, target) else { continue };
            open.extend(pair.ends);
            for (from, to) in pair.ways {
                scope.spawn(move || pump(from, to));
            }
        }
    });
}

struct Pair {
    /// For the cut.
    ends: [TcpStream; 2],
    /// From where to where.
    ways: [(TcpStream, TcpStream); 2],
}

impl Pair {
    /// A client that cannot be passed on is closed with the error.
    fn of(client: TcpStream, target: SocketAddr) -> io::Result<Self> {
        let server = TcpStream::connect(target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = [client.try_clone()?, server.try_clone()?];
        Ok(Self { ends, ways: [(client.try_clone()?, server.try_clone()?), (server, client)] })
    }
}

/// Until either side ends; then both do.
fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_cut_link_closes_and_refuses_until_it_is_restored() {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut link = Link::to(primary.local_addr().unwrap().port()).unwrap();
        for _ in 0..2 {
            let mut near = TcpStream::connect(link.address).unwrap();
            let (mut far, _) = primary.accept().unwrap();
            let mut byte = [0];
            near.write_all(b"a").unwrap();
            far.read_exact(&mut byte).unwrap();
            far.write_all(b"b").unwrap();
            near.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"b");
            link.cut();
            assert_eq!(near.read(&mut byte).unwrap_or(0), 0, "closed at the one side");
            assert_eq!(far.read(&mut byte).unwrap_or(0), 0, "and at the other");
            assert_eq!(TcpStream::connect(link.address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            link.restore().unwrap();
        }
    }

    #[test]
    fn a_link_to_nobody_closes_what_comes_and_can_be_cut() {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut link = Link::to(nobody).unwrap();
        assert_eq!(TcpStream::connect(link.address).unwrap().read(&mut [0]).unwrap_or(0), 0);
        link.cut();
        link.cut();
        assert_eq!(TcpStream::connect(link.address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_side_that_closes_closes_the_other() {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::to(primary.local_addr().unwrap().port()).unwrap();
        let mut near = TcpStream::connect(link.address).unwrap();
        drop(primary.accept().unwrap());
        assert_eq!(near.read(&mut [0]).unwrap_or(0), 0);
    }
}
