//! Signals: the first one asks for an orderly end, the second one gets an end.

use std::sync::{Arc, OnceLock};

use server::Shared;
use server::shutdown::Cause;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Listens for signals, from before the server runs.
pub(crate) struct Watch(Arc<OnceLock<Arc<Shared>>>);

impl Watch {
    /// Starts.
    pub(crate) fn start() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("Signals cannot be received: {error}.");
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(failed)?;
        let watch = Self(Arc::default());
        let server = Arc::clone(&watch.0);
        let listen = move || {
            for signal in signals.forever() {
                heed(signal, server.get());
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
        Ok(watch)
    }

    /// From now on there is a server to stop.
    pub(crate) fn serve(&self, shared: &Arc<Shared>) {
        // There is one server a process.
        let _ = self.0.set(Arc::clone(shared));
    }
}

fn heed(signal: i32, server: Option<&Arc<Shared>>) {
    let name = match signal {
        SIGTERM => "SIGTERM",
        SIGINT => "SIGINT",
        // Redis ignores it, too: the terminal may go.
        _ => return,
    };
    match server {
        None => {
            tracing::info!("{name} while starting: the end. Nothing is lost.");
            std::process::exit(0);
        }
        Some(shared) if shared.shutdown.request(Cause::Signal(name)) => {}
        Some(_) => {
            tracing::warn!("{name} again: the end, at once. What clients were answered is in the logs.");
            std::process::exit(1);
        }
    }
}
