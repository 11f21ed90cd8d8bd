//! A link that can be cut: a TCP proxy between a replica and its primary. It counts what comes from the primary, and can be
//! told to pass only so much of it.
//!
//! It listens at an address of its own (127.0.0.2), whose ports no outgoing connection takes, so that it gets its port back
//! after a cut.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::failure::{Context, Outcome};

const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A listener that was closed is gone after this; as a rule at once.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);
const CLOSED_POLL: Duration = Duration::from_millis(1);
/// Bytes that a connection passes at once.
const BUFFER: usize = 64 << 10;

pub struct Link {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it leads.
    target: SocketAddr,
    /// Of what comes from the primary.
    meter: Arc<Meter>,
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
        let meter = Arc::new(Meter::new());
        let open = Some(Open::on(listener, target, Arc::clone(&meter)));
        Ok(Self { address, target, meter, open })
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
            let listener = when_free(|| TcpListener::bind(self.address)).context("listening for the link again")?;
            self.open = Some(Open::on(listener, self.target, Arc::clone(&self.meter)));
        }
        Ok(())
    }

    /// How many bytes from the primary have passed since the link was made.
    pub fn passed(&self) -> u64 {
        self.meter.lock().passed
    }

    /// Lets so many more bytes from the primary pass, over all connections together. What comes behind them is dropped, and
    /// the connection that it comes on closed.
    pub fn allow(&self, more: u64) {
        let mut passage = self.meter.lock();
        passage.allowed = passage.passed.saturating_add(more);
    }

    /// Whether all has passed that was allowed.
    pub fn is_spent(&self) -> bool {
        let passage = self.meter.lock();
        passage.passed >= passage.allowed
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Open {
    fn on(listener: TcpListener, target: SocketAddr, meter: Arc<Meter>) -> Self {
        let sockets = Sockets(Arc::new(Mutex::new(Some(Vec::new()))));
        let own = sockets.clone();
        Self { sockets, acceptor: std::thread::spawn(move || accept(&listener, target, &own, &meter)) }
    }
}

/// Counts what passes in one direction, and ends it when that is enough.
struct Meter(Mutex<Passage>);

#[derive(Clone, Copy)]
struct Passage {
    passed: u64,
    /// As much may pass in all.
    allowed: u64,
}

impl Meter {
    /// One that lets everything pass.
    fn new() -> Self {
        Self(Mutex::new(Passage { passed: 0, allowed: u64::MAX }))
    }

    fn lock(&self) -> MutexGuard<'_, Passage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of so many bytes may pass; they count as passed.
    fn admit(&self, count: usize) -> usize {
        let mut passage = self.lock();
        let room = usize::try_from(passage.allowed.saturating_sub(passage.passed)).unwrap_or(usize::MAX);
        let admitted = count.min(room);
        passage.passed += admitted as u64;
        admitted
    }
}

impl Sockets {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<TcpStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens where a listener was closed just now. Whatever process another thread starts in that moment has it, too, until
/// its program begins.
fn when_free<T>(mut listen: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match listen() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < CLOSED_WITHIN => {
                std::thread::sleep(CLOSED_POLL);
            }
            ended => return ended,
        }
    }
}

/// Until the cut.
fn accept(listener: &TcpListener, target: SocketAddr, sockets: &Sockets, down: &Meter) {
    // Of what goes to the primary, and nobody reads it.
    let up = &Meter::new();
    std::thread::scope(|scope| {
        while let Ok((client, _)) = listener.accept() {
            // Held while the primary is dialed, which is a moment: so none is added behind the cut.
            let mut sockets = sockets.lock();
            let Some(open) = &mut *sockets else { return };
            let Ok(pair) = Pair::of(client, target) else { continue };
            open.extend(pair.ends);
            for ((from, to), meter) in pair.ways.into_iter().zip([up, down]) {
                scope.spawn(move || pump(from, to, meter));
            }
        }
    });
}

struct Pair {
    /// For the cut.
    ends: [TcpStream; 2],
    /// From where to where: to the primary, and from it.
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

/// Until either side ends, or enough has passed; then both end.
fn pump(mut from: TcpStream, mut to: TcpStream, meter: &Meter) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let admitted = meter.admit(count);
        if to.write_all(&buffer[..admitted]).is_err() || admitted < count {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn only_an_address_that_is_still_in_use_is_waited_for() {
        let mut kinds = [io::ErrorKind::AddrInUse, io::ErrorKind::AddrInUse].into_iter();
        assert_eq!(when_free(|| kinds.next().map_or(Ok(7), |kind| Err(kind.into()))).unwrap(), 7);
        let mut kinds = [io::ErrorKind::PermissionDenied].into_iter();
        let denied = when_free(|| kinds.next().map_or(Ok(7), |kind| Err(kind.into()))).unwrap_err();
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_side_that_closes_closes_the_other() {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::to(primary.local_addr().unwrap().port()).unwrap();
        let mut near = TcpStream::connect(link.address).unwrap();
        drop(primary.accept().unwrap());
        assert_eq!(near.read(&mut [0]).unwrap_or(0), 0);
    }

    #[test]
    fn so_much_passes_as_is_allowed_and_what_is_sent_to_the_primary_does_not_count() {
        let primary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut link = Link::to(primary.local_addr().unwrap().port()).unwrap();
        link.allow(5);
        let mut near = TcpStream::connect(link.address).unwrap();
        let (mut far, _) = primary.accept().unwrap();
        near.write_all(b"a question").unwrap();
        far.read_exact(&mut [0; 10]).unwrap();
        assert_eq!((link.passed(), link.is_spent()), (0, false));
        far.write_all(b"an answer").unwrap();
        let mut came = Vec::new();
        // The end may be a reset: something was dropped.
        let _ = near.read_to_end(&mut came);
        assert_eq!((came.as_slice(), link.passed(), link.is_spent()), (&b"an an"[..], 5, true));
        link.cut();
        link.allow(u64::MAX);
        link.restore().unwrap();
        let mut near = TcpStream::connect(link.address).unwrap();
        let (mut far, _) = primary.accept().unwrap();
        far.write_all(b"swer").unwrap();
        near.read_exact(&mut [0; 4]).unwrap();
        assert_eq!((link.passed(), link.is_spent()), (9, false));
    }
}
