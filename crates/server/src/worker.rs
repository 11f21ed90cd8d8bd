//! A worker: a thread that serves sessions and never waits for anything but sockets.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::Scratch;
use socket2::Socket;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};

use crate::catalog::Numbers;
use crate::client::{Ends, Place};
use crate::desk::Desk;
use crate::outbox::Spares;
use crate::rules::Rules;
use crate::session::batch::Tools;
use crate::session::{Reading, Session};
use crate::shared::{Shared, clock};
use crate::socket;
use crate::stats::ThreadStats;
use crate::turn::{Turn, turns};

/// The buffer that the sessions of a worker share to read into.
const READ_BYTES: usize = 64 << 10;

/// Sessions are asked so often before sockets are asked again: a turn of many clients is not to be interrupted by that.
const POLLS: u32 = 256;

/// A client that was let in.
pub(crate) struct Arrival {
    pub socket: Socket,
    pub ends: Ends,
    pub place: Place,
}

/// Where the acceptor leaves clients for a worker. Dropping it ends the worker, after its sessions.
pub(crate) type Arrivals = mpsc::UnboundedSender<Arrival>;

/// What the sessions of one worker share.
pub(crate) struct Worker {
    pub shared: Arc<Shared>,
    pub desk: Desk,
    pub turn: Turn,
    pub reading: RefCell<Reading>,
    pub tools: RefCell<Tools>,
    pub spares: RefCell<Spares>,
    index: usize,
    rules: RefCell<Rc<Rules>>,
    sessions: Cell<usize>,
    last_gone: Notify,
}

impl Worker {
    fn new(shared: Arc<Shared>, desk: Desk, index: usize) -> Self {
        let rules = Rules::new(shared.config.load_full());
        let seed = shared.seed(index);
        Self {
            shared,
            desk,
            turn: Turn::default(),
            reading: RefCell::new(Reading::with_capacity(READ_BYTES)),
            tools: RefCell::new(Tools { scratch: Scratch::new(seed), keys: Vec::new(), numbers: Numbers::default() }),
            spares: RefCell::default(),
            index,
            rules: RefCell::new(Rc::new(rules)),
            sessions: Cell::new(0),
            last_gone: Notify::new(),
        }
    }

    /// Starts one.
    pub(crate) fn start(shared: &Arc<Shared>, desk: &Desk, index: usize) -> io::Result<(Arrivals, JoinHandle<()>)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let runtime_error = |error| io::Error::other(format!("a worker's runtime cannot be made: {error}"));
        let (shared, desk) = (Arc::clone(shared), desk.clone());
        let (ready, started) = std::sync::mpsc::channel();
        let handle = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let mut builder = Builder::new_current_thread();
            match builder.enable_all().event_interval(POLLS).build_local(LocalOptions::default()) {
                Ok(runtime) => {
                    // Nobody listens any more if the start failed elsewhere.
                    let _ = ready.send(Ok(()));
                    runtime.block_on(Rc::new(Self::new(shared, desk, index)).work(receiver));
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        })?;
        started.recv().map_err(io::Error::other)?.map_err(runtime_error)?;
        Ok((sender, handle))
    }

    async fn work(self: Rc<Self>, mut arrivals: mpsc::UnboundedReceiver<Arrival>) {
        let turns = tokio::task::spawn_local(turns(Rc::clone(&self)));
        while let Some(arrival) = arrivals.recv().await {
            self.welcome(arrival);
        }
        while self.sessions.get() > 0 {
            self.last_gone.notified().await;
        }
        turns.abort();
    }

    fn welcome(self: &Rc<Self>, arrival: Arrival) {
        let Arrival { socket, ends, mut place } = arrival;
        let halves = match socket::split(socket, ends.transport) {
            Ok(halves) => halves,
            Err(error) => {
                tracing::warn!(peer = ends.peer, "a client cannot be served: {error}");
                return;
            }
        };
        let info = place.enter(ends, clock());
        self.sessions.set(self.sessions.get() + 1);
        let session = Session::new(Rc::clone(self), halves, info, place);
        tokio::task::spawn_local(session.serve());
    }

    /// A session has ended.
    pub(crate) fn leave(&self) {
        self.sessions.set(self.sessions.get() - 1);
        if self.sessions.get() == 0 {
            self.last_gone.notify_one();
        }
    }

    /// The configuration now.
    #[inline]
    pub(crate) fn rules(&self) -> Rc<Rules> {
        let config = self.shared.config.load();
        let rules = self.rules.borrow();
        if Arc::ptr_eq(&rules.config, &config) {
            return Rc::clone(&rules);
        }
        drop(rules);
        let rules = Rc::new(Rules::new(Arc::clone(&config)));
        *self.rules.borrow_mut() = Rc::clone(&rules);
        rules
    }

    /// This thread's counters.
    #[inline]
    pub(crate) fn stats(&self) -> &ThreadStats {
        self.shared.stats.thread(self.index)
    }
}
