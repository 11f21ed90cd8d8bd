//! A snapshot link, used by a thread that may wait: [`Peer`].

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use replication_proto::{Address, Cause};
use std::io::{Read as _, Write as _};
use tokio::runtime::Handle;

use crate::replica::broken::Broken;
use crate::replica::link::Link;
use crate::replica::settings::Settings;
use crate::wire::{Inbox, Reply, Request, SnapshotRequest};

/// The most bytes that one read takes.
const READ_BYTES: usize = 256 << 10;

/// Stops a transfer, or lets it install: whoever waits in it, for a socket, for time or for that, wakes up.
#[derive(Debug, Default)]
pub(in crate::replica) struct Stop {
    is_set: AtomicBool,
    may_install: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
    bell: Condvar,
}

impl Stop {
    /// Stops it.
    pub fn set(&self) {
        let sockets = self.sockets.lock();
        self.is_set.store(true, Ordering::Release);
        for socket in sockets.iter() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.bell.notify_all();
    }

    /// Lets it install what it has fetched.
    pub fn install(&self) {
        let _sockets = self.sockets.lock();
        self.may_install.store(true, Ordering::Release);
        self.bell.notify_all();
    }

    /// Waits until it may install, but not longer than `time`.
    pub fn may_install(&self, time: Duration) -> Result<bool, Broken> {
        let mut sockets = self.sockets.lock();
        if !self.is_set() && !self.may_install.load(Ordering::Acquire) {
            self.bell.wait_for(&mut sockets, time);
        }
        drop(sockets);
        self.check()?;
        Ok(self.may_install.load(Ordering::Acquire))
    }

    /// Whether it is stopped.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Sleeps, but not longer than until the stop.
    pub fn sleep(&self, time: Duration) -> Result<(), Broken> {
        let mut sockets = self.sockets.lock();
        if !self.is_set() && !time.is_zero() {
            self.bell.wait_for(&mut sockets, time);
        }
        drop(sockets);
        self.check()
    }

    pub fn check(&self) -> Result<(), Broken> {
        if self.is_set() { Err(Broken::new(Cause::Operator, "stopped")) } else { Ok(()) }
    }

    /// Has a socket shut down by the stop.
    fn watch(&self, socket: &TcpStream) -> Result<(), Broken> {
        let copy = socket.try_clone()?;
        self.sockets.lock().push(copy);
        self.check()
    }
}

/// A snapshot link.
pub(super) struct Peer {
    stream: TcpStream,
    inbox: Inbox,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Peer {
    /// Dials and authenticates.
    pub fn open(handle: &Handle, settings: &Arc<Settings>, primary: &Address, stop: &Stop) -> Result<Self, Broken> {
        let Link { stream, inbox } = handle.block_on(Link::open(settings, primary))?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        // Longer than the state machine waits for progress; it only bounds what nobody looks at any more.
        stream.set_read_timeout(Some(settings.timeout() * 4))?;
        stream.set_write_timeout(Some(settings.timeout() * 4))?;
        stop.watch(&stream)?;
        Ok(Self { stream, inbox, buffer: vec![0; READ_BYTES], out: Vec::new() })
    }

    /// Sends a request; its answer comes after those of the requests before it.
    pub fn send(&mut self, request: SnapshotRequest) -> Result<(), Broken> {
        self.out.clear();
        Request::Snapshot(request).encode(&mut self.out);
        Ok(self.stream.write_all(&self.out)?)
    }

    /// Waits for the next answer and has `take` look at it.
    pub fn answer<T>(&mut self, take: impl FnOnce(Reply<'_>) -> T) -> Result<T, Broken> {
        loop {
            if let Some(reply) = self.inbox.next_reply()? {
                return Ok(take(reply));
            }
            match self.stream.read(&mut self.buffer)? {
                0 => return Err(Broken::closed()),
                count => self.inbox.room().extend_from_slice(&self.buffer[..count]),
            }
        }
    }

    /// Sends a request that is answered by `+OK`.
    pub fn ask(&mut self, request: SnapshotRequest) -> Result<(), Broken> {
        self.send(request)?;
        self.answer(|reply| match reply {
            Reply::Ok => Ok(()),
            Reply::Refused(refusal) => Err(Broken::refused(&refusal, Cause::Rejected)),
            _ => Err(Broken::unexpected("SNAPSHOT")),
        })?
    }
}
