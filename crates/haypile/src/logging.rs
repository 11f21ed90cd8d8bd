//! The server's own log: lines for people, or JSON, on the standard output or in a file.

use std::fs::File;
use std::io::IsTerminal as _;
use std::sync::Mutex;

use server::config::{Config, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

/// Changes which messages are logged.
pub(crate) struct Level(reload::Handle<Targets, Registry>);

impl Level {
    pub(crate) fn set(&self, level: LogLevel) {
        // The subscriber lives as long as the process.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts logging as the configuration says.
pub(crate) fn start(config: &Config) -> Result<Level, String> {
    let (filter, handle) = reload::Layer::new(filter(config.loglevel));
    let (writer, colours) = writer(&config.logfile)?;
    let registry = tracing_subscriber::registry().with(filter);
    // A line that cannot be written is no reason to end.
    let lines = fmt::layer().with_writer(writer).with_target(false).log_internal_errors(false);
    let failed = |error: TryInitError| format!("Logging cannot be started: {error}.");
    match config.log_format {
        LogFormat::Human => registry.with(lines.with_ansi(colours)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    }
    .map_err(failed)?;
    Ok(Level(handle))
}

/// Where lines go, and whether somebody sees colours there.
fn writer(logfile: &str) -> Result<(BoxMakeWriter, bool), String> {
    if logfile.is_empty() {
        return Ok((BoxMakeWriter::new(std::io::stdout), std::io::stdout().is_terminal()));
    }
    let file = File::options().create(true).append(true).open(logfile);
    let file = file.map_err(|error| format!("The log file {logfile} cannot be opened: {error}."))?;
    Ok((BoxMakeWriter::new(Mutex::new(file)), false))
}

/// Messages of the libraries below are for their developers: only their warnings are let through.
fn filter(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Debug => LevelFilter::TRACE,
        LogLevel::Verbose => LevelFilter::DEBUG,
        LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
    };
    let ours = ["haypile", "server", "replication", "engine", "rocks", "replog"].map(|name| (name, own));
    Targets::new().with_default(LevelFilter::WARN.min(own)).with_targets(ours)
}
