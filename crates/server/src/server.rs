//! The server as a whole: its start and its end.
//!
//! ```text
//!   start: listeners ─▶ desk ─▶ workers ─▶ control (accepts)
//!   end:   control stops ─▶ sessions end, with their replies ─▶ workers ─▶ desk ─▶ the binary closes the instance
//! ```

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::Instance;
use replication::replica::Prepared;
use tokio::runtime::Builder;

use crate::accept::Acceptor;
use crate::client::Kill;
use crate::config::Settings;
use crate::desk::Desk;
use crate::host::Host;
use crate::housekeeping::keep_house;
use crate::listen::{self, Address, Listener};
use crate::open_files;
use crate::shared::Shared;
use crate::worker::{Arrivals, Worker};

/// Workers beyond so many gain nothing.
const MAX_AUTO_WORKERS: usize = 8;
/// Desk threads for each core, at least and at most.
const DESK_PER_CORE: usize = 4;
const AUTO_DESK: (usize, usize) = (8, 64);
/// At the end: how long sessions may take to send their last replies, and to end at all; how long the desk may take.
const LAST_REPLIES: Duration = Duration::from_secs(2);
const LAST_SESSIONS: Duration = Duration::from_secs(1);
const LAST_JOBS: Duration = Duration::from_secs(3);

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    control: JoinHandle<()>,
    links: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    desk: Vec<JoinHandle<()>>,
    sockets: Vec<PathBuf>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody uses the instance any more: it can be closed.
    Quiet,
    /// A command is still at work. The instance must not be closed; its logs hold what it has.
    Busy,
}

impl Server {
    /// Opens the listeners and starts the threads. `heed` is called before anybody is served: who hears signals learns from it
    /// that there is something to end in good order.
    ///
    /// # Errors
    /// A sentence that says what is in the way.
    pub fn start(
        settings: Settings,
        prepared: Prepared,
        instance: Arc<Instance>,
        host: Arc<dyn Host>,
        heed: impl FnOnce(&Arc<Shared>),
    ) -> Result<Self, String> {
        let failed = |error: io::Error| format!("The server cannot be started: {error}.");
        let counts = (worker_count(settings.config.workers), desk_count(settings.config.desk_threads));
        let mut settings = settings;
        settings.config.maxclients = possible_clients(settings.config.maxclients);
        let shared = Arc::new(Shared::new(settings, prepared, instance, host, counts)?);
        // Who can connect finds in the log where.
        let listeners = listen::open(&shared.config.load())?;
        publish(&shared, &listeners);
        let sockets = listeners.iter().filter_map(|listener| match &listener.at {
            Address::Unix(path) => Some(path.clone()),
            Address::Tcp(_) => None,
        });
        let sockets = sockets.collect();
        let (desk, desk_threads) = Desk::start(&shared).map_err(failed)?;
        let started = (0..counts.0).map(|index| Worker::start(&shared, &desk, index));
        let started: Vec<(Arrivals, JoinHandle<()>)> = started.collect::<io::Result<_>>().map_err(failed)?;
        let (arrivals, workers) = started.into_iter().unzip();
        heed(&shared);
        let acceptor = Acceptor { shared: Arc::clone(&shared), workers: arrivals, next: AtomicUsize::new(0) };
        let links = shared.primary.start().map_err(failed)?;
        shared.replica.start().map_err(failed)?;
        let control = start_control(acceptor, listeners).map_err(failed)?;
        Ok(Self { shared, control, links, workers, desk: desk_threads, sockets })
    }

    /// What its threads share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends it: nobody is let in, commands that have begun end, their replies are sent.
    pub fn stop(self) -> Ended {
        // Makes the control thread end, whoever calls this.
        self.shared.shutdown.request(crate::shutdown::Cause::Command);
        join_within(vec![self.control], LAST_SESSIONS);
        self.shared.replica.stop();
        for path in &self.sockets {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(path);
        }
        let sessions = || self.shared.clients.list().into_iter().filter(|info| !info.is_link());
        // Links go on meanwhile: replies may wait for what replicas say.
        sessions().for_each(|info| info.kill(Kill::AfterReplies));
        let late = join_within(self.workers, LAST_REPLIES);
        sessions().for_each(|info| info.kill(Kill::Now));
        let late = join_within(late, LAST_SESSIONS);
        self.shared.primary.stop();
        let late_links = join_within(vec![self.links], LAST_SESSIONS);
        // The last worker took the way to the desk with it.
        let late_jobs = if late.is_empty() { join_within(self.desk, LAST_JOBS) } else { self.desk };
        let saves = self.shared.saves.state().running_since.is_some();
        if late.is_empty() && late_jobs.is_empty() && late_links.is_empty() && !saves {
            Ended::Quiet
        } else {
            Ended::Busy
        }
    }
}

/// Joins the threads that end in time; returns the others.
fn join_within(mut threads: Vec<JoinHandle<()>>, time: Duration) -> Vec<JoinHandle<()>> {
    const LOOK: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + time;
    loop {
        let (done, left): (Vec<_>, Vec<_>) = threads.into_iter().partition(JoinHandle::is_finished);
        // A panic has ended the process already.
        done.into_iter().for_each(|thread| drop(thread.join()));
        threads = left;
        if threads.is_empty() || Instant::now() >= deadline {
            return threads;
        }
        std::thread::sleep(LOOK);
    }
}

/// The thread that accepts clients and looks after them.
fn start_control(acceptor: Acceptor, listeners: Vec<Listener>) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        runtime.block_on(async {
            let shared = Arc::clone(&acceptor.shared);
            let acceptor = Arc::new(acceptor);
            for listener in listeners {
                let acceptor = Arc::clone(&acceptor);
                tokio::spawn(async move { acceptor.accept_from(listener).await });
            }
            tokio::spawn(keep_house(Arc::clone(&shared)));
            shared.shutdown.wanted().await;
        });
    })
}

fn publish(shared: &Shared, listeners: &[Listener]) {
    let tcp = listeners.iter().filter_map(|listener| match listener.at {
        Address::Tcp(address) => Some(address),
        Address::Unix(_) => None,
    });
    // Set here and nowhere else.
    let _ = shared.addresses.set(tcp.collect());
    for listener in listeners {
        tracing::info!("listening on {}", listener.at);
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// One core is left to the desk, to settle and to RocksDB: see docs/decisions/0008.
fn worker_count(configured: u32) -> usize {
    if configured == 0 { (cores() - 1).clamp(1, MAX_AUTO_WORKERS) } else { configured as usize }
}

fn desk_count(configured: u32) -> usize {
    let auto = (DESK_PER_CORE * cores()).clamp(AUTO_DESK.0, AUTO_DESK.1);
    if configured == 0 { auto } else { configured as usize }
}

/// As many clients as are wanted, or as the system allows.
fn possible_clients(wanted: u32) -> u32 {
    open_files::allow_clients(wanted).map_or_else(
        |possible| {
            tracing::warn!("maxclients is {possible} instead of {wanted}: the system does not allow more open files");
            possible
        },
        |()| wanted,
    )
}
