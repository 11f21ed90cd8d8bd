//! The haypile binary: arguments, logging, and the wiring of the store into the server.

mod allocator;
mod arguments;
mod logging;
mod malloc_conf;
mod memory;
mod serve;
mod signals;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Document, Wish};
use replication::report::Report;
use server::config::{self, Settings};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The version, as the binary tells it.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let args: Result<Vec<String>, _> = std::env::args_os().skip(1).map(|arg| arg.into_string()).collect();
    let done = match args {
        Ok(args) => obey(arguments::read(args)),
        Err(arg) => Err(format!("The argument {} is not UTF-8.", arg.display())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

fn obey(wish: Wish) -> Result<(), String> {
    match wish {
        Wish::Serve(start) => serve::serve(start.load()?),
        Wish::CheckConfig(start) => check(&start.load()?),
        Wish::Events(file) => events(&file),
        Wish::Print(document) => print(&text(document)),
        Wish::Wrong(sentence) => Err(sentence),
    }
}

fn check(settings: &Settings) -> Result<(), String> {
    for warning in &settings.warnings {
        complain(&format!("Warning: {warning}"));
    }
    server::check_listening(&settings.config)?;
    print("OK\n")
}

/// Says what is wrong, if anybody can hear it: that nobody can is no reason to end otherwise.
fn complain(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "{sentence}");
}

fn events(file: &Path) -> Result<(), String> {
    let report = Report::of_file(file).map_err(|error| format!("{} cannot be read: {error}.", file.display()))?;
    print(&report.text())
}

fn text(document: Document) -> String {
    match document {
        Document::Version => format!("haypile {VERSION}\n"),
        Document::Help => arguments::HELP.to_owned(),
        Document::Commands => commands::docs::commands_markdown(),
        Document::Parameters => config::parameters_markdown(),
        Document::Config => config::sample_conf(),
    }
}

/// Prints to somebody who may have stopped reading.
fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("Cannot print: {error}."))
}
