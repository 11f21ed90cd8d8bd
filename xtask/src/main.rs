//! The project's own commands, run as `cargo xtask <command>`.
//!
//! This crate knows no other crate of the workspace: it drives `cargo` and the built binary, so it compiles in
//! seconds and never needs RocksDB itself.

mod bench;
mod clients;
mod edges;
mod failure;
mod generated;
mod run;
mod setup;
mod source;
mod tcl;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use failure::{Failure, Outcome};
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask <command>

  setup                               install the system packages that building and testing need
  run [-- args]                       build the server (release) and start it; `--port 7001` and the like are passed on
  test [--quick | --long] [filter]    every check of the project, in order; stops at the first that fails
  tidy                                the checks of layout and style that the compiler does not make
  gen [--check]                       write (or compare) the documents that derive from tables in the code
  bench [suite..] [options]           measure side by side with redis-server; `bench --help` lists the options
  tcl [file..]                        run Redis's own test suite (fetched from Debian's sources) against the server";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    match dispatch(command.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(command: Option<&str>, args: &[String]) -> Outcome {
    let workspace = Workspace::open()?;
    match command {
        Some("setup") => setup::run(&workspace, setup::Needs::BuildAndTest),
        Some("run") => run::run(&workspace, args),
        Some("test") => test::run(&workspace, args),
        Some("tidy") => tidy::run(&workspace),
        Some("gen") => generated::run(&workspace, args),
        Some("bench") => bench::run(&workspace, args),
        Some("tcl") => tcl::run(&workspace, args),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(Failure::usage(format!("no command is called '{other}'\n\n{USAGE}"))),
        None => Err(Failure::usage(USAGE)),
    }
}
