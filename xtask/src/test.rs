//! `cargo xtask test`: every check of the project, in order, stopping at the first that fails.

use std::time::Instant;

use crate::clients;
use crate::failure::{Failure, Outcome};
use crate::generated::{self, Mode};
use crate::setup::{self, Needs};
use crate::tidy;
use crate::workspace::{Workspace, execute, find_program};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Depth {
    /// Formatting, tidiness and the tests inside the crates: what one runs while writing.
    Quick,
    Usual,
    /// The usual with longer runs of the tests that can be made longer.
    Long,
}

#[derive(PartialEq, Eq, Debug)]
struct Request {
    depth: Depth,
    /// Only tests whose names contain this.
    filter: Option<String>,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Outcome {
    let request = parse(args)?;
    let mut steps = Steps { begun: Instant::now(), done: Vec::new() };
    let usual = request.depth != Depth::Quick;
    steps.step("setup", || setup::run(workspace, Needs::BuildAndTest))?;
    steps.step("fmt", || execute(workspace.cargo().args(["fmt", "--all", "--check"])))?;
    steps.step("tidy", || tidy::run(workspace))?;
    if usual {
        steps.step("gen --check", || generated::generate(workspace, Mode::Check))?;
        steps.step("clippy", || clippy(workspace))?;
    }
    let mut variables = clients::Variables::new();
    if usual {
        steps.step("client libraries", || {
            variables = clients::prepare(workspace)?;
            Ok(())
        })?;
    }
    steps.step("tests", || run_tests(workspace, &request, variables))?;
    println!("==> all passed in {} s ({})", steps.begun.elapsed().as_secs(), steps.done.join(", "));
    Ok(())
}

fn parse(args: &[String]) -> Outcome<Request> {
    let mut request = Request { depth: Depth::Usual, filter: None };
    for arg in args {
        match arg.as_str() {
            "--quick" => request.depth = Depth::Quick,
            "--long" => request.depth = Depth::Long,
            flag if flag.starts_with('-') => {
                return Err(Failure::usage(format!("'{flag}': usage: cargo xtask test [--quick | --long] [filter]")));
            }
            filter => request.filter = Some(filter.to_owned()),
        }
    }
    Ok(request)
}

struct Steps {
    begun: Instant,
    done: Vec<String>,
}

impl Steps {
    fn step(&mut self, name: &str, action: impl FnOnce() -> Outcome) -> Outcome {
        println!("==> {name}");
        let begun = Instant::now();
        let outcome = action();
        let took = begun.elapsed().as_secs_f64();
        match &outcome {
            Ok(()) => println!("==> {name}: {took:.1} s"),
            Err(_) => println!("==> {name}: failed after {took:.1} s"),
        }
        self.done.push(format!("{name} {took:.0} s"));
        outcome
    }
}

fn clippy(workspace: &Workspace) -> Outcome {
    execute(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
}

fn run_tests(workspace: &Workspace, request: &Request, variables: clients::Variables) -> Outcome {
    let mut cargo = workspace.cargo();
    if find_program("cargo-nextest").is_some() {
        // Failures are shown again at the end, and a failing test does not hide the others.
        cargo.args(["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "slow"]);
        cargo.args(["--failure-output", "immediate-final"]);
    } else {
        println!("cargo-nextest is not installed; using cargo test");
        cargo.args(["test", "--workspace", "--no-fail-fast"]);
    }
    if request.depth == Depth::Quick {
        cargo.args(["--lib", "--bins"]);
    }
    cargo.args(&request.filter);
    cargo.envs(variables);
    if request.depth == Depth::Long {
        cargo.env("HAYPILE_TEST_LONG", "1");
    }
    execute(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Outcome<Request> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_filter_are_told_apart() {
        assert_eq!(parsed("").unwrap(), Request { depth: Depth::Usual, filter: None });
        assert_eq!(parsed("--long reopen").unwrap(), Request { depth: Depth::Long, filter: Some("reopen".into()) });
        assert_eq!(parsed("--quick").unwrap().depth, Depth::Quick);
        assert_eq!(parsed("--fast").unwrap_err().code, 2);
    }

    #[test]
    fn a_failing_step_is_passed_on_and_recorded() {
        let mut steps = Steps { begun: Instant::now(), done: Vec::new() };
        assert!(steps.step("good", || Ok(())).is_ok());
        assert_eq!(steps.step("bad", || Err(Failure::of_child("x", Some(9)))).unwrap_err().code, 9);
        assert_eq!(steps.done.len(), 2);
    }
}
